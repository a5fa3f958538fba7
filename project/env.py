"""Reads the environment: every name also as ``NAME_FILE``, holding the path of a file with the value."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from environ import FileAwareEnv

env = FileAwareEnv()


def secret_key(data_dir: Path) -> str:
    """``SECRET_KEY`` from the environment, else one made at first start and kept in the data folder.

    The file is created with mode 0600 and is never replaced: sessions would end without a word.
    """
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    path = data_dir / "secret-key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        made = secrets.token_urlsafe(50)
        file.write(made)
    return made

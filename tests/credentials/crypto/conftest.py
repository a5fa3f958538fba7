"""Key-ring entries and the places they are read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.crypto.keyring import generate_entry


@pytest.fixture
def entry() -> str:
    return generate_entry()


@pytest.fixture
def ring_file(tmp_path: Path, entry: str) -> Path:
    path = tmp_path / "key-ring"
    path.write_text(f"# my ring\n{entry}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """A shell script with this body, as an absolute path."""

    def written(body: str) -> str:
        path = tmp_path / "print-key"
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o700)
        return str(path)

    return written

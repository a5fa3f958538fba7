"""Keeps tokens out of fields that people read: a purpose, a label, an error message passed on."""

from __future__ import annotations

import re

from credentials.providers.tokens import UNKNOWN, recognize

_BETWEEN = re.compile(r"[\s:/@=,;'\"()<>\[\]{}|]+")


def has_token(text: str) -> bool:
    """Whether a word of ``text`` has the shape of a host's token or of a service key.

    Shapes that other things share are let through: 40 hexadecimal digits are also a commit.
    """
    return any(_is_token(word) for word in _BETWEEN.split(text) if len(word) >= 16)  # noqa: PLR2004  # none is shorter


def _is_token(word: str) -> bool:
    found = recognize(word)
    return found is not UNKNOWN and (found.provider is not None or word.startswith("fk_"))

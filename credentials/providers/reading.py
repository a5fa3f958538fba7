"""Reading a provider's JSON and headers without trusting their types, lengths or characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
"""RFC 6749 section 3.3, with a limit on the length."""

MAXIMUM_TEXT = 255


def member(value: object, *names: str) -> Any:
    """Walk down nested JSON objects; None as soon as something on the way is no object."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: object, *names: str) -> str:
    """A short printable text, or empty. Numbers, long texts and control characters are not text."""
    found = member(value, *names)
    if isinstance(found, str) and len(found) <= MAXIMUM_TEXT and found.isprintable():
        return found
    return ""


def identifier(value: object, *names: str) -> str:
    """An immutable id as text: a positive whole number, or a short text without white space."""
    found = member(value, *names)
    if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 1 << 63:
        return str(found)
    found = text(found)
    return found if found and not any(character.isspace() for character in found) else ""


def objects(value: object) -> list[Mapping[str, Any]]:
    """The JSON objects of a list; whatever is no object is left out."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def scopes(value: object) -> tuple[str, ...] | None:
    """Scope names out of a list, or out of a text separated by commas or blanks; None if it is neither."""
    if isinstance(value, str):
        names = re.split(r"[,\s]+", value.strip())
    elif isinstance(value, list):
        names = [item for item in value if isinstance(item, str)]
    else:
        return None
    return tuple(dict.fromkeys(name for name in names if _SCOPE.fullmatch(name)))


def lifetime(value: object) -> int | None:
    """Seconds, as a number or a text of digits; None where the provider does not say."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 33:
        return value
    return None

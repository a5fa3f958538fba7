"""Change a frozen dataclass from JSON or from a form, strictly: only allowed names, only the same type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

AS_USUAL = ("", "yes", "no")  # empty: what the provider itself does
CHOICES = {
    "request": ("none", "requested", "denied"),
    "single_use_refresh": AS_USUAL,
    "old_access_dies": AS_USUAL,
    "reuse_ends_family": AS_USUAL,
}
ROLES = ("admin", "member", "pending")


def _converted(name: str, value: Any, current: Any) -> Any:
    match current:
        case bool():
            return _as_bool(value)
        case int():
            if isinstance(value, bool):
                raise ValueError("a number is expected")
            return int(value)
        case tuple():
            items = value.split() if isinstance(value, str) else list(value)
            return tuple(str(item) for item in items)
        case Mapping() if name == "members":
            return {**current, **_as_roles(value)}
        case Mapping():
            return {str(key): str(item) for key, item in dict(value).items()}
        case _:
            if value not in CHOICES.get(name, (value,)):
                raise ValueError(f"one of {', '.join(filter(None, CHOICES[name]))} is expected")
            return str(value)


def _as_bool(value: Any) -> bool:
    if value in (True, "true", "yes", "on", "1"):
        return True
    if value in (False, "false", "no", "off", "0", ""):
        return False
    raise ValueError("true or false is expected")


def _as_roles(value: Any) -> dict[str, str]:
    roles = {str(login): str(role) for login, role in dict(value).items()}
    for role in roles.values():
        if role not in (*ROLES, "none"):
            raise ValueError(f"a role is one of {', '.join(ROLES)}, none")
    return roles


def changed(instance: T, changes: Mapping[str, Any], allowed: Iterable[str]) -> T:
    """A copy of a dataclass instance with `changes` made.

    Raises ValueError, naming the field, for a name outside `allowed` or a value of another type.
    """
    allowed = tuple(allowed)
    new: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in allowed:
            raise ValueError(f"{name}: no such switch here; there are {', '.join(allowed)}")
        try:
            new[name] = _converted(name, value, getattr(instance, name))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error
    return dataclasses.replace(instance, **new)

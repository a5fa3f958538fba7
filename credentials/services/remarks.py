"""What an examination of the installation finds: how bad it is, in words, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a remark is. Only a problem needs mending at once."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One line of the examination; ``remedy`` says what to do, and is empty where all is well."""

    check: str
    level: Level
    text: str
    remedy: str = ""


def ok(check: str, text: str) -> Remark:
    """All is well."""
    return Remark(check=check, level=Level.OK, text=text)


def warning(check: str, text: str, remedy: str) -> Remark:
    """It works, but something should be done."""
    return Remark(check=check, level=Level.WARNING, text=text, remedy=remedy)


def problem(check: str, text: str, remedy: str) -> Remark:
    """It does not work, or is not safe."""
    return Remark(check=check, level=Level.PROBLEM, text=text, remedy=remedy)

"""What the processes of one measurement tell each other; nothing of Django."""

from __future__ import annotations

from dataclasses import dataclass, field

ROUND_SECONDS = 120


@dataclass(kw_only=True, slots=True)
class Seen:
    """What one process saw: how long its callers waited, whom the provider refused, and what went wrong."""

    waits: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

"""What providers say of how long a token lives that tells no date of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from credentials.providers.tokens import Kind
from credentials.verdicts import Text


class Rule(StrEnum):
    """What a lifetime counts from."""

    UNUSED = "unused"  # the token's last use
    UNRENEWED = "unrenewed"  # the last refresh of an OAuth authorization
    LONGEST = "longest"  # the token's making, where its own date is not known


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetime:
    """One rule by which a provider ends tokens of these kinds by itself.

    ``words`` is ``life`` as its texts name it, ``source`` the address of the documentation that says so.
    """

    rule: Rule
    kinds: Collection[Kind]
    life: timedelta
    words: Text
    source: str

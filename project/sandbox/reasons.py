"""Why a token endpoint refuses; each host has its own words for each."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why the token endpoint refuses."""

    CLIENT = "client"
    CODE = "code"
    REDIRECT = "redirect"
    VERIFIER = "verifier"
    REFRESH = "refresh"
    GRANT_TYPE = "grant_type"


class RefusedError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason

"""How long an access token lives that is made now; the control page changes it."""

from __future__ import annotations

USUAL_SECONDS = 7200


class Lifetime:
    """Called by the toolkit for each new access token."""

    def __init__(self) -> None:
        self.seconds = USUAL_SECONDS

    def __call__(self, request: object) -> int:
        return self.seconds


ACCESS = Lifetime()

"""No credential can do what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from credentials.errors.base import ForgekeyError

if TYPE_CHECKING:
    from credentials.verdicts import Verdict


class CredentialRefused(ForgekeyError):
    """No credential can do what was asked; ``verdict`` says why and what to do."""

    code = "credential_refused"

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict.code))
        self.verdict = verdict


class TokenNotAccepted(CredentialRefused):
    """The pasted token is mistyped, of a wrong kind, or refused by the provider; nothing was stored."""

    code = "token_not_accepted"


class NoUsableCredential(CredentialRefused):
    """No stored credential serves this request."""

    code = "no_usable_credential"

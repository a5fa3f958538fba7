"""What a provider answered, or did not."""

from __future__ import annotations

from datetime import timedelta

from credentials.errors.base import ForgekeyError


class ProviderError(ForgekeyError):
    """What a provider answered, or did not.

    ``status`` is the HTTP status where there was one; ``evidence`` is a short note for the audit trail
    and the verdict (which call, which status, which wording), free of secrets; ``retry_after`` is how long
    the provider asked to be left alone.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        evidence: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message or self.__doc__ or self.code)
        self.status = status
        self.evidence = evidence
        self.retry_after = retry_after


class ProviderUnreachable(ProviderError):
    """The provider cannot be reached or does not answer as itself: nothing is known."""

    code = "host_unreachable"
    retryable = True


class RefreshUnavailable(ProviderUnreachable):
    """A new access token is needed and cannot be had at this moment; the grant is not lost.

    ``retry_after`` is when to ask again.
    """

    code = "refresh_unavailable"

    def __init__(
        self, message: str = "", *, evidence: str = "", retry_after: timedelta = timedelta(seconds=30)
    ) -> None:
        super().__init__(message, evidence=evidence)
        self.retry_after = retry_after


class ProviderRateLimited(ProviderError):
    """The provider's quota is spent: nothing is known until it refills."""

    code = "rate_limited"
    retryable = True


class ProviderAnswerUnexpected(ProviderError):
    """The provider's answer fits no rule; the fact it was asked for stays unknown."""

    code = "unknown"
    retryable = True


class RepositoryMoved(ProviderAnswerUnexpected):
    """The repository has another name now; ``number`` is the id under which it can be asked for."""

    def __init__(self, *, status: int, evidence: str, number: str) -> None:
        super().__init__("the repository has moved", status=status, evidence=evidence)
        self.number = number


class TokenRejected(ProviderError):
    """The provider says that this token is invalid.

    ``reason`` is ``"expired"``, ``"revoked"`` or ``"invalid"`` where the provider tells them apart.
    """

    code = "token_rejected"

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        evidence: str = "",
        reason: str = "invalid",
    ) -> None:
        super().__init__(message, status=status, evidence=evidence)
        self.reason = reason

    @property
    def verdict_code(self) -> str:
        """The refusal in the vocabulary of :class:`credentials.verdicts.VerdictCode`."""
        return {"expired": "token_expired", "revoked": "token_revoked"}.get(self.reason, "token_rejected")


class ScopeMissing(ProviderError):
    """The token is authentic but lacks a scope.

    ``required`` and ``granted`` hold the provider's own scope strings, empty where it does not say.
    """

    code = "scope_missing"

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        evidence: str = "",
        required: tuple[str, ...] = (),
        granted: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(message, status=status, evidence=evidence)
        self.required = required
        self.granted = granted


class AccessRefused(ProviderError):
    """The token is authentic but refused here.

    ``verdict_code`` names the cause in the vocabulary of :class:`credentials.verdicts.VerdictCode`;
    ``url`` is the provider's page that mends it, where the answer carried one; ``granted`` are the token's
    scopes, None where the answer did not name them.
    """

    code = "access_refused"

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        evidence: str = "",
        verdict_code: str = "not_found_or_no_access",
        url: str = "",
        granted: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(message, status=status, evidence=evidence)
        self.verdict_code = verdict_code
        self.url = url
        self.granted = granted

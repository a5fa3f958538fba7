"""Every error Forgekey raises, as one tree; a class says what its caller may do.

ForgekeyError
├── ConfigurationError            the operator's to mend, found at start
├── CryptoError
│   ├── KeyRingInvalid            a key source gave something that is no key ring
│   ├── KeySourceUnsafe           a key file that others could read or replace
│   ├── KeyUnavailable            the ring lacks the key this envelope names (retryable)
│   └── EnvelopeInvalid           altered, truncated, or bound to another row
├── AuditUnavailable              the event could not be made durable, so nothing was opened (retryable)
├── AddressError
│   ├── AddressInvalid            not an address Forgekey reads
│   └── AddressForbidden          resolves to where no request may go
├── ProviderError
│   ├── ProviderUnreachable       outage, cut connection, 5xx, HTML instead of JSON (retryable)
│   │   └── RefreshUnavailable    a new access token is needed and cannot be had just now (retryable)
│   ├── ProviderRateLimited       primary or secondary quota is spent (retryable)
│   ├── ProviderAnswerUnexpected  an answer no rule explains: a fact stays unknown (retryable)
│   │   └── RepositoryMoved       the repository goes by another name now (retryable)
│   ├── TokenRejected             the provider says: invalid, expired or revoked
│   ├── ScopeMissing              authentic, but not allowed to do this
│   └── AccessRefused             authentic, but an organization, a policy or a missing right refuses
├── RequestError
│   ├── NotAuthenticated          no caller known by this key or session
│   ├── PermissionRefused         the caller is known, but may not do this
│   ├── NotFound                  no such object, or not this caller's
│   ├── InputInvalid              a field is missing or wrong
│   ├── ListingNotPossible        this credential cannot list, though it may read
│   ├── TooManyRequests           asked too often just now (retryable)
│   └── Conflict                  another change came first (retryable)
│       └── IdempotencyKeyReused  the key belongs to another request
└── CredentialRefused             no credential can do it; carries the verdict
    ├── TokenNotAccepted          what was pasted is not stored
    └── NoUsableCredential        no stored credential serves this request
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from credentials.verdicts import Verdict


class ForgekeyError(Exception):
    """Root of the tree.

    ``code`` is stable and shown to callers; ``retryable`` says that the same call may succeed later.
    The message never carries a secret and never repeats input.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class ConfigurationError(ForgekeyError):
    """A setting is missing or wrong; the message says which and what to do."""

    code = "configuration_invalid"


class CryptoError(ForgekeyError):
    """Root of everything that concerns keys and envelopes."""

    code = "crypto_error"


class KeyRingInvalid(CryptoError):
    """A key source gave something that is no key ring."""

    code = "key_ring_invalid"


class KeySourceUnsafe(CryptoError):
    """A key file can be read or replaced by somebody else."""

    code = "key_source_unsafe"


class KeyUnavailable(CryptoError):
    """The key ring lacks the key; rows stay untouched until the operator restores it."""

    code = "key_unavailable"
    retryable = True


class EnvelopeInvalid(CryptoError):
    """The stored form was altered, truncated, or belongs to another row, owner, host or generation."""

    code = "envelope_invalid"


class AuditUnavailable(ForgekeyError):
    """The audit event could not be made durable; therefore no secret was opened."""

    code = "audit_unavailable"
    retryable = True


class AddressError(ForgekeyError):
    """Root of what can be wrong with an address."""

    code = "address_error"


class AddressInvalid(AddressError):
    """The text is not a repository or host address."""

    code = "address_invalid"


class AddressForbidden(AddressError):
    """The address resolves to a network no request may go to."""

    code = "address_forbidden"


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


class RequestError(ForgekeyError):
    """Root of what is wrong with a request rather than with a credential."""

    code = "request_error"


class NotAuthenticated(RequestError):
    """No caller is known by this key or session."""

    code = "not_authenticated"


class PermissionRefused(RequestError):
    """The caller is known but may not do this."""

    code = "permission_refused"


class NotFound(RequestError):
    """There is no such object, or it is somebody else's."""

    code = "not_found"


class InputInvalid(RequestError):
    """A field is missing or wrong; ``field`` names it and its value is never repeated."""

    code = "input_invalid"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ListingNotPossible(RequestError):
    """The credential's scopes let nobody list repositories; one that is named can still be read."""

    code = "listing_not_possible"


class TooManyRequests(RequestError):
    """Asked so often within a minute that somebody else's server would suffer; wait ``retry_after``."""

    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Conflict(RequestError):
    """Another change came first; read again and decide anew."""

    code = "conflict"
    retryable = True


class IdempotencyKeyReused(Conflict):
    """The ``Idempotency-Key`` came with another request before."""

    code = "idempotency_key_reused"
    retryable = False


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

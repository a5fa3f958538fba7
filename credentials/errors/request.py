"""What is wrong with a request rather than with a credential."""

from __future__ import annotations

from datetime import timedelta

from credentials.errors.base import ForgekeyError


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


class UploadTooLarge(RequestError):
    """A file has more bytes than may be uploaded; ``limit`` says how many may be."""

    code = "upload_too_large"

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class Conflict(RequestError):
    """Another change came first; read again and decide anew."""

    code = "conflict"
    retryable = True


class IdempotencyKeyReused(Conflict):
    """The ``Idempotency-Key`` came with another request before."""

    code = "idempotency_key_reused"
    retryable = False

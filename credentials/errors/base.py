"""The root of all errors, and those of the installation itself: settings, keys, the trail, addresses."""

from __future__ import annotations

from typing import ClassVar


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

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
├── CredentialRefused             no credential can do it; carries the verdict
│   ├── TokenNotAccepted          what was pasted is not stored
│   └── NoUsableCredential        no stored credential serves this request
├── ImportProblem                 what was to be imported is not, and nothing of it is kept
│   ├── ContentRefused            an archive or a repository breaks a rule; names the entry and the rule
│   ├── RefNotFound               no such branch, tag or commit
│   ├── SubdirectoryNotFound      no such folder in what was read
│   ├── QuotaExceeded             this person, or everybody, has used up what may be used (retryable)
│   ├── TimeExceeded              it took longer than an import may take
│   ├── ImportInterrupted         worker after worker ended over it (retryable)
│   ├── ImportCanceled            somebody asked to stop
│   ├── StorageUnavailable        the storage or the disk takes nothing at present (retryable)
│   └── UploadGone                what was uploaded is not kept any more
├── ProviderError
│   ├── ProviderUnreachable       outage, cut connection, 5xx, HTML instead of JSON (retryable)
│   │   └── RefreshUnavailable    a new access token is needed and cannot be had just now (retryable)
│   ├── ProviderRateLimited       primary or secondary quota is spent (retryable)
│   ├── ProviderAnswerUnexpected  an answer no rule explains: a fact stays unknown (retryable)
│   │   └── RepositoryMoved       the repository goes by another name now (retryable)
│   ├── TokenRejected             the provider says: invalid, expired or revoked
│   ├── ScopeMissing              authentic, but not allowed to do this
│   └── AccessRefused             authentic, but an organization, a policy or a missing right refuses
└── RequestError
    ├── NotAuthenticated          no caller known by this key or session
    ├── PermissionRefused         the caller is known, but may not do this
    ├── NotFound                  no such object, or not this caller's
    ├── InputInvalid              a field is missing or wrong
    ├── ListingNotPossible        this credential cannot list, though it may read
    ├── TooManyRequests           asked too often just now (retryable)
    ├── UploadTooLarge            a file has more bytes than may be uploaded
    └── Conflict                  another change came first (retryable)
        └── IdempotencyKeyReused  the key belongs to another request
"""

from __future__ import annotations

from credentials.errors.base import (
    AddressError,
    AddressForbidden,
    AddressInvalid,
    AuditUnavailable,
    ConfigurationError,
    CryptoError,
    EnvelopeInvalid,
    ForgekeyError,
    KeyRingInvalid,
    KeySourceUnsafe,
    KeyUnavailable,
)
from credentials.errors.credential import (
    CredentialRefused,
    NoUsableCredential,
    TokenNotAccepted,
)
from credentials.errors.importing import (
    ContentRefused,
    ImportCanceled,
    ImportInterrupted,
    ImportProblem,
    QuotaExceeded,
    RefNotFound,
    StorageUnavailable,
    SubdirectoryNotFound,
    TimeExceeded,
    UploadGone,
)
from credentials.errors.provider import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    RefreshUnavailable,
    RepositoryMoved,
    ScopeMissing,
    TokenRejected,
)
from credentials.errors.request import (
    Conflict,
    IdempotencyKeyReused,
    InputInvalid,
    ListingNotPossible,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    RequestError,
    TooManyRequests,
    UploadTooLarge,
)

__all__ = [
    "AccessRefused",
    "AddressError",
    "AddressForbidden",
    "AddressInvalid",
    "AuditUnavailable",
    "ConfigurationError",
    "Conflict",
    "ContentRefused",
    "CredentialRefused",
    "CryptoError",
    "EnvelopeInvalid",
    "ForgekeyError",
    "IdempotencyKeyReused",
    "ImportCanceled",
    "ImportInterrupted",
    "ImportProblem",
    "InputInvalid",
    "KeyRingInvalid",
    "KeySourceUnsafe",
    "KeyUnavailable",
    "ListingNotPossible",
    "NoUsableCredential",
    "NotAuthenticated",
    "NotFound",
    "PermissionRefused",
    "ProviderAnswerUnexpected",
    "ProviderError",
    "ProviderRateLimited",
    "ProviderUnreachable",
    "QuotaExceeded",
    "RefNotFound",
    "RefreshUnavailable",
    "RepositoryMoved",
    "RequestError",
    "ScopeMissing",
    "StorageUnavailable",
    "SubdirectoryNotFound",
    "TimeExceeded",
    "TokenNotAccepted",
    "TokenRejected",
    "TooManyRequests",
    "UploadGone",
    "UploadTooLarge",
]

"""The one typed answer of a diagnosis: what was found, who can mend it, and the next step.

The words and links of each answer are data: see catalog.py and variants.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from django.utils.functional import Promise

Text = str | Promise


class VerdictCode(StrEnum):
    """Every cause a diagnosis can name (contract, section 4)."""

    OK = "ok"
    OK_PUBLIC = "ok_public"
    NO_CREDENTIAL = "no_credential"
    WRONG_ACCOUNT = "wrong_account"
    TOKEN_MISTYPED = "token_mistyped"
    TOKEN_WRONG_KIND = "token_wrong_kind"
    TOKEN_WRONG_PROVIDER = "token_wrong_provider"
    TOKEN_RETIRED_KIND = "token_retired_kind"
    TOKEN_REJECTED = "token_rejected"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    RECONNECT_REQUIRED = "reconnect_required"
    SCOPE_MISSING = "scope_missing"
    ORGANIZATION_NOT_APPROVED = "organization_not_approved"
    ORGANIZATION_REQUESTED = "organization_requested"
    ORGANIZATION_DENIED = "organization_denied"
    SSO_REQUIRED = "sso_required"
    ORGANIZATION_POLICY = "organization_policy"
    TOKEN_PENDING = "token_pending"
    IP_BLOCKED = "ip_blocked"
    NOT_FOUND_OR_NO_ACCESS = "not_found_or_no_access"
    RATE_LIMITED = "rate_limited"
    HOST_UNREACHABLE = "host_unreachable"
    HOST_UNKNOWN = "host_unknown"
    EMAIL_REQUIRED = "email_required"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How the verdict concerns the person who reads it."""

    OK = "ok"
    ACTION = "action"
    WAIT = "wait"
    UNKNOWN = "unknown"


class WhoCanFix(StrEnum):
    """Who can lift what the verdict names."""

    USER = "user"
    ORGANIZATION_OWNER = "organization_owner"
    ADMINISTRATOR = "administrator"
    NOBODY = "nobody"


class Action(StrEnum):
    """What a step can be done with in this product itself."""

    CONNECT = "connect"
    RECONNECT = "reconnect"
    REPLACE = "replace"
    REQUEST_ACCESS = "request_access"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at: which step, what came of it, and when (UTC)."""

    step: str
    result: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do. ``url`` is the page at the host where it is done, ``action`` what this product offers
    a button for; each is empty where there is none."""

    text: Text
    url: str = ""
    action: Action | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer itself (contract, section 4).

    ``host`` is a host slug, ``organization`` the provider's own key, ``credential`` a credential's UUID
    as text; each is empty where it does not apply.
    """

    code: VerdictCode
    severity: Severity
    who_can_fix: WhoCanFix
    title: Text
    summary: Text
    steps: tuple[Step, ...] = ()
    checked: tuple[Check, ...] = ()
    host: str = ""
    organization: str = ""
    credential: str = ""
    message_to_owner: Text = ""
    offer_zip: bool = False
    help_topic: str = ""

    @property
    def ok(self) -> bool:
        return self.severity is Severity.OK

    def with_checked(self, *checks: Check) -> Verdict:
        """The same verdict with further checks appended."""
        return replace(self, checked=(*self.checked, *checks))

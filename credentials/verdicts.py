"""The one typed answer of a diagnosis: what was found, who can mend it, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at: which step, what came of it, and when (UTC)."""

    step: str
    result: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do, with the page where it is done if there is one."""

    text: Text
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The catalog entry of one code: everything about it that does not depend on the case."""

    severity: Severity
    who_can_fix: WhoCanFix
    title: Text
    summary: Text
    steps: tuple[Text, ...] = ()
    offer_zip: bool = False


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
    help_topic: str = field(default="")

    @property
    def ok(self) -> bool:
        return self.severity is Severity.OK

    def with_checked(self, *checks: Check) -> Verdict:
        """The same verdict with further checks appended."""
        return replace(self, checked=(*self.checked, *checks))


class _Blank(dict[str, object]):
    """Leaves a blank for every name a text mentions and the case does not know."""

    def __missing__(self, key: str) -> str:
        return "?"


def verdict(
    code: VerdictCode,
    *,
    values: Mapping[str, object] | None = None,
    urls: tuple[str, ...] = (),
    checked: tuple[Check, ...] = (),
    host: str = "",
    organization: str = "",
    credential: str = "",
    message_to_owner: Text = "",
) -> Verdict:
    """Fill the catalog entry of ``code`` for one case.

    ``values`` are the names the texts mention (``host``, ``account``, ``organization``, ``kind``,
    ``scopes``, ``provider``); ``urls`` belong to the entry's steps in their order.
    The texts are translated at this moment, into the language that is active.
    """
    entry = CATALOG[code]
    known = _Blank(values or {})
    padded = (*urls, *[""] * len(entry.steps))
    return Verdict(
        code=code,
        severity=entry.severity,
        who_can_fix=entry.who_can_fix,
        title=str(entry.title) % known,
        summary=str(entry.summary) % known,
        steps=tuple(
            Step(text=str(text) % known, url=url) for text, url in zip(entry.steps, padded, strict=False)
        ),
        checked=checked,
        host=host,
        organization=organization,
        credential=credential,
        message_to_owner=message_to_owner,
        offer_zip=entry.offer_zip,
        help_topic=str(code).replace("_", "-"),
    )


# Checked against the providers' present pages on 2026-11-23.
CATALOG: Mapping[VerdictCode, Entry] = {
    VerdictCode.OK: Entry(
        severity=Severity.OK,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("It works"),
        summary=_("%(provider)s accepts this credential."),
    ),
    VerdictCode.OK_PUBLIC: Entry(
        severity=Severity.OK,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("Public repository"),
        summary=_("Anyone can read this repository; no credential is needed."),
    ),
    VerdictCode.NO_CREDENTIAL: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("No account connected"),
        summary=_("%(user)s has not connected an account at %(host)s yet."),
        steps=(_("Connect an account at %(host)s."),),
        offer_zip=True,
    ),
    VerdictCode.WRONG_ACCOUNT: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("Another account answered"),
        summary=_("This connection belongs to %(account)s, but %(provider)s answered for %(other_account)s."),
        steps=(
            _("Sign out at %(host)s, sign in there as %(account)s, and try again."),
            _("Or connect %(other_account)s as a further account."),
        ),
    ),
    VerdictCode.TOKEN_MISTYPED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This token looks mistyped"),
        summary=_("A character seems to be missing, added or changed, and nothing was stored."),
        steps=(
            _("Copy the whole token again and paste it without spaces or line breaks."),
            _("If it is no longer shown at %(host)s, create a new one."),
        ),
    ),
    VerdictCode.TOKEN_WRONG_KIND: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This kind of token cannot be used"),
        summary=_(
            "What was pasted is a %(kind)s. It does not let anyone read a repository for you; "
            "nothing was stored."
        ),
        steps=(_("Create a token of the kind described beside the form."),),
    ),
    VerdictCode.TOKEN_WRONG_PROVIDER: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This token belongs to another provider"),
        summary=_("What was pasted is a %(kind)s, but this form is for %(host)s. Nothing was stored."),
        steps=(_("Choose the host the token was made for, or create a token at %(host)s."),),
    ),
    VerdictCode.TOKEN_RETIRED_KIND: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This kind of token is no longer accepted"),
        summary=_("What was pasted is a %(kind)s. %(provider)s has switched these off; nothing was stored."),
        steps=(_("Create a token of the kind described beside the form."),),
    ),
    VerdictCode.TOKEN_REJECTED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(provider)s does not accept this token"),
        summary=_("%(provider)s answered that the token is not valid."),
        steps=(_("Create a new token and paste it here, or connect again."),),
    ),
    VerdictCode.TOKEN_EXPIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token has expired"),
        summary=_("The token was valid once, but its time is over."),
        steps=(_("Create a new token and replace this one, or connect again."),),
    ),
    VerdictCode.TOKEN_REVOKED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token was revoked"),
        summary=_("Somebody withdrew this token at %(host)s."),
        steps=(_("Create a new token and replace this one, or connect again."),),
    ),
    VerdictCode.RECONNECT_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("Please connect again"),
        summary=_("The connection to %(host)s has ended and cannot be renewed without you."),
        steps=(_("Reconnect; the connection keeps its name and settings."),),
    ),
    VerdictCode.SCOPE_MISSING: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token may not read repositories"),
        summary=_("%(provider)s knows the token, but it lacks a right that an import needs: %(scopes)s."),
        steps=(_("Create a token that has this right, and paste it here."),),
    ),
    VerdictCode.ORGANIZATION_NOT_APPROVED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("%(organization)s has not approved this app"),
        summary=_(
            "The account is connected, but the organization %(organization)s lets in only apps "
            "that one of its owners has approved."
        ),
        steps=(
            _("Request access for %(organization)s."),
            _("Ask an owner of %(organization)s to approve the request."),
        ),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_REQUESTED: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("Waiting for an owner of %(organization)s"),
        summary=_("Access was requested; an owner of %(organization)s has not decided yet."),
        steps=(_("Remind an owner of %(organization)s."),),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_DENIED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("%(organization)s has denied this app"),
        summary=_("An owner of %(organization)s decided against this app."),
        steps=(_("Talk to an owner of %(organization)s, or import a ZIP file."),),
        offer_zip=True,
    ),
    VerdictCode.SSO_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(organization)s asks for single sign-on"),
        summary=_("The token works, but %(organization)s wants it authorized through single sign-on."),
        steps=(_("Authorize it for %(organization)s."),),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_POLICY: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(organization)s forbids this kind of token"),
        summary=_("A policy of %(organization)s refuses this kind of token."),
        steps=(_("Connect with OAuth, or with a kind of token that %(organization)s allows."),),
        offer_zip=True,
    ),
    VerdictCode.TOKEN_PENDING: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("Waiting for approval of this token"),
        summary=_("An owner of %(organization)s has to approve this token before it can be used there."),
        steps=(_("Ask an owner of %(organization)s to approve the pending token."),),
        offer_zip=True,
    ),
    VerdictCode.IP_BLOCKED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("%(organization)s does not allow this network address"),
        summary=_("%(organization)s accepts requests only from listed network addresses."),
        steps=(_("Ask an owner of %(organization)s to allow this server's address."),),
        offer_zip=True,
    ),
    VerdictCode.NOT_FOUND_OR_NO_ACCESS: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("Not found, or no access"),
        summary=_(
            "%(provider)s answers the same way for a repository that does not exist "
            "and for one that this account may not see."
        ),
        steps=(
            _("Check the address for a typing mistake."),
            _("Ask an owner of the repository to give this account access."),
        ),
        offer_zip=True,
    ),
    VerdictCode.RATE_LIMITED: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("%(provider)s asks us to wait"),
        summary=_("Too many questions were asked there lately; the answer is not known yet."),
        steps=(_("Try again in a few minutes."),),
    ),
    VerdictCode.HOST_UNREACHABLE: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("%(host)s does not answer"),
        summary=_("Nothing could be checked. What was known before still stands."),
        steps=(_("Try again later."),),
    ),
    VerdictCode.HOST_UNKNOWN: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ADMINISTRATOR,
        title=_("This host is not set up"),
        summary=_("No Git host with this address is set up here."),
        steps=(_("Check the address, or ask an administrator to add the host."),),
        offer_zip=True,
    ),
    VerdictCode.EMAIL_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The e-mail address is needed too"),
        summary=_("%(provider)s checks this token together with the e-mail address of your account there."),
        steps=(_("Enter the e-mail address of your account at %(host)s."),),
    ),
    VerdictCode.UNKNOWN: Entry(
        severity=Severity.UNKNOWN,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("Not known yet"),
        summary=_("%(provider)s gave an answer that does not settle the question. Nothing was changed."),
        steps=(_("Try again later."),),
    ),
}

"""The words of every verdict, as data; what a provider or a kind of token says differently is in variants.py.

Checked against the providers' present pages on ``CHECKED_ON``. A step's ``link`` names a page at the host
whose address the provider knows: ``token`` (make one), ``manage`` (the tokens there), ``request``,
``approve``, ``sso``, ``settings`` (this very token), ``fine_grained`` (make one for this organization).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from credentials.verdicts import Action, Severity, Text, VerdictCode, WhoCanFix

CHECKED_ON = "2026-11-24"


@dataclass(frozen=True, slots=True)
class StepText:
    """One thing to do, before names and addresses are filled in. ``needs_oauth``: only where the host has
    an OAuth button."""

    text: Text
    link: str = ""
    action: Action | None = None
    needs_oauth: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Everything about one code that does not depend on the case."""

    severity: Severity
    who_can_fix: WhoCanFix
    title: Text
    summary: Text
    steps: tuple[StepText, ...] = ()
    offer_zip: bool = False


# Steps that several verdicts share.
_NEW_TOKEN = StepText(_("Create a new token."), link="token")
_IN_ITS_PLACE = StepText(_("Put it in the place of this one."), action=Action.REPLACE)

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
        steps=(StepText(_("Connect an account at %(host)s."), action=Action.CONNECT),),
        offer_zip=True,
    ),
    VerdictCode.WRONG_ACCOUNT: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("Another account answered"),
        summary=_("This connection belongs to %(account)s, but %(provider)s answered for %(other_account)s."),
        steps=(
            StepText(_("Sign out at %(host)s, sign in there as %(account)s, and try again.")),
            StepText(_("Or connect %(other_account)s as a further account."), action=Action.CONNECT),
        ),
    ),
    VerdictCode.TOKEN_MISTYPED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This token looks mistyped"),
        summary=_("A character seems to be missing, added or changed, and nothing was stored."),
        steps=(
            StepText(_("Copy the whole token again and paste it without spaces or line breaks.")),
            StepText(_("If it is no longer shown at %(host)s, create a new one."), link="token"),
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
        steps=(StepText(_("Create a token of the kind described beside the form."), link="token"),),
    ),
    VerdictCode.TOKEN_WRONG_PROVIDER: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This token belongs to another provider"),
        summary=_("What was pasted is a %(kind)s, but this form is for %(host)s. Nothing was stored."),
        steps=(StepText(_("Choose the host the token was made for, or create a token at %(host)s.")),),
    ),
    VerdictCode.TOKEN_RETIRED_KIND: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("This kind of token is no longer accepted"),
        summary=_("What was pasted is a %(kind)s. %(provider)s has switched these off; nothing was stored."),
        steps=(StepText(_("Create a token of the kind described beside the form."), link="token"),),
    ),
    VerdictCode.TOKEN_REJECTED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(provider)s does not accept this token"),
        summary=_("%(provider)s answered that the token is not valid."),
        steps=(
            _NEW_TOKEN,
            _IN_ITS_PLACE,
        ),
    ),
    VerdictCode.TOKEN_EXPIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token has expired"),
        summary=_("The token was valid once, but its time is over."),
        steps=(
            _NEW_TOKEN,
            _IN_ITS_PLACE,
        ),
    ),
    VerdictCode.TOKEN_REVOKED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token was revoked"),
        summary=_("Somebody withdrew this token at %(host)s."),
        steps=(
            _NEW_TOKEN,
            _IN_ITS_PLACE,
        ),
    ),
    VerdictCode.RECONNECT_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("Please connect again"),
        summary=_("The connection to %(host)s has ended and cannot be renewed without you."),
        steps=(
            StepText(_("Reconnect; the connection keeps its name and settings."), action=Action.RECONNECT),
        ),
    ),
    VerdictCode.SCOPE_MISSING: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The token may not read repositories"),
        summary=_("%(provider)s knows the token, but it lacks a right that an import needs: %(scopes)s."),
        steps=(
            StepText(_("Create a token that has this right: %(scopes)s."), link="token"),
            _IN_ITS_PLACE,
        ),
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
            StepText(
                _("Request access for %(organization)s: open the page and choose “Request” beside its name."),
                link="request",
                action=Action.REQUEST_ACCESS,
            ),
            StepText(
                _("Ask an owner of %(organization)s to approve it; the message below says how."),
                link="approve",
            ),
        ),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_REQUESTED: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("Waiting for an owner of %(organization)s"),
        summary=_(
            "You opened the page that asks for access. If you sent the request there, an owner of "
            "%(organization)s decides now."
        ),
        steps=(
            StepText(_("If you are not sure that you sent it, open the page once more."), link="request"),
            StepText(_("Remind an owner of %(organization)s; the message below says how."), link="approve"),
        ),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_DENIED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("%(organization)s has denied this app"),
        summary=_("An owner of %(organization)s decided against this app."),
        steps=(
            StepText(_("Talk to an owner of %(organization)s, who can still approve it."), link="approve"),
            StepText(_("Or import a ZIP file instead.")),
        ),
        offer_zip=True,
    ),
    VerdictCode.SSO_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(organization)s asks for single sign-on"),
        summary=_("The token works, but %(organization)s wants it authorized through single sign-on."),
        steps=(
            StepText(
                _("Sign in to %(organization)s through its single sign-on, then try again."), link="sso"
            ),
        ),
        offer_zip=True,
    ),
    VerdictCode.ORGANIZATION_POLICY: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("%(organization)s forbids this kind of token"),
        summary=_("A policy of %(organization)s refuses this kind of token."),
        steps=(StepText(_("Connect in another way that %(organization)s allows."), action=Action.CONNECT),),
        offer_zip=True,
    ),
    VerdictCode.TOKEN_PENDING: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("Waiting for approval of this token"),
        summary=_("An owner of %(organization)s has to approve this token before it can be used there."),
        steps=(
            StepText(
                _(
                    "Ask an owner of %(organization)s to approve the pending token; the message below says how."
                ),
                link="approve",
            ),
        ),
        offer_zip=True,
    ),
    VerdictCode.IP_BLOCKED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ORGANIZATION_OWNER,
        title=_("%(organization)s does not allow this network address"),
        summary=_("%(organization)s accepts requests only from listed network addresses."),
        steps=(
            StepText(
                _(
                    "Ask an owner of %(organization)s to allow this server's address; the message below says how."
                )
            ),
        ),
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
            StepText(_("Check the address for a typing mistake.")),
            StepText(_("Ask somebody who owns the repository to give %(account)s access.")),
        ),
        offer_zip=True,
    ),
    VerdictCode.RATE_LIMITED: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("%(provider)s asks us to wait"),
        summary=_("Too many questions were asked there lately; the answer is not known yet."),
        steps=(StepText(_("Try again in a few minutes.")),),
    ),
    VerdictCode.HOST_UNREACHABLE: Entry(
        severity=Severity.WAIT,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("%(host)s does not answer"),
        summary=_("Nothing could be checked. What was known before still stands."),
        steps=(StepText(_("Try again later.")),),
    ),
    VerdictCode.HOST_UNKNOWN: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.ADMINISTRATOR,
        title=_("This host is not set up"),
        summary=_("No Git host with this address is set up here."),
        steps=(StepText(_("Check the address, or ask an administrator to add the host.")),),
        offer_zip=True,
    ),
    VerdictCode.EMAIL_REQUIRED: Entry(
        severity=Severity.ACTION,
        who_can_fix=WhoCanFix.USER,
        title=_("The e-mail address is needed too"),
        summary=_("%(provider)s checks this token together with the e-mail address of your account there."),
        steps=(StepText(_("Enter the e-mail address of your account at %(host)s.")),),
    ),
    VerdictCode.UNKNOWN: Entry(
        severity=Severity.UNKNOWN,
        who_can_fix=WhoCanFix.NOBODY,
        title=_("Not known yet"),
        summary=_("%(provider)s gave an answer that does not settle the question. Nothing was changed."),
        steps=(StepText(_("Try again later.")),),
    ),
}

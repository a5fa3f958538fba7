"""What a verdict says differently for one provider or kind of token, and what a person can send to an owner.

A variant's name is ``provider:kind``, ``provider``, ``kind``, ``quarantined`` or, where an address was asked about,
``repository``;
see :func:`credentials.verdicts.wording.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from credentials.verdicts import Action, Text, VerdictCode, WhoCanFix
from credentials.verdicts.catalog import StepText


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What a code says differently for one provider or kind of token; None leaves the entry's own."""

    title: Text | None = None
    summary: Text | None = None
    steps: tuple[StepText, ...] | None = None
    who_can_fix: WhoCanFix | None = None


_RECONNECT = StepText(_("Reconnect; the connection keeps its name and settings."), action=Action.RECONNECT)

# Under which name the case of a credential that an administrator has taken out of use has its own words.
QUARANTINED = "quarantined"

VARIANTS: Mapping[tuple[VerdictCode, str], Variant] = {
    (VerdictCode.NO_CREDENTIAL, QUARANTINED): Variant(
        title=_("The connection is quarantined"),
        summary=_("%(user)s has an account at %(host)s connected, but it was taken out of use here."),
        steps=(StepText(_("Ask an administrator to release it.")),),
        who_can_fix=WhoCanFix.ADMINISTRATOR,
    ),
    (VerdictCode.OK, "repository"): Variant(summary=_("%(account)s can read %(repository)s.")),
    (VerdictCode.TOKEN_REJECTED, "oauth"): Variant(
        steps=(_RECONNECT,),
    ),
    (VerdictCode.TOKEN_EXPIRED, "oauth"): Variant(
        steps=(_RECONNECT,),
    ),
    (VerdictCode.TOKEN_REVOKED, "oauth"): Variant(
        steps=(_RECONNECT,),
    ),
    (VerdictCode.TOKEN_REJECTED, "app_token"): Variant(
        steps=(_RECONNECT,),
    ),
    (VerdictCode.TOKEN_EXPIRED, "app_token"): Variant(
        steps=(_RECONNECT,),
    ),
    (VerdictCode.SCOPE_MISSING, "oauth"): Variant(
        steps=(
            StepText(_("Reconnect, and leave every permission ticked: %(scopes)s."), action=Action.RECONNECT),
        ),
    ),
    (VerdictCode.SCOPE_MISSING, "github:fine_grained_token"): Variant(
        summary=_("GitHub knows the token, but it may not read the files of this repository."),
        steps=(
            StepText(
                _("Edit the token: under “Repository permissions”, set “Contents” to “Read-only”."),
                link="manage",
            ),
        ),
    ),
    (VerdictCode.SSO_REQUIRED, "github:personal_token"): Variant(
        steps=(
            StepText(
                _(
                    "Open your tokens, choose “Configure SSO” beside this token, and authorize it for %(organization)s."
                ),
                link="manage",
            ),
            StepText(_("Or follow the link that GitHub gave for it; it works for an hour."), link="sso"),
        ),
    ),
    (VerdictCode.SSO_REQUIRED, "github:oauth"): Variant(
        summary=_(
            "The connection works, but it was made without being signed in to %(organization)s, "
            "which wants that for every app."
        ),
        steps=(
            StepText(_("Sign in to %(organization)s through its single sign-on."), link="sso"),
            StepText(_("Then reconnect in the same browser."), action=Action.RECONNECT),
        ),
    ),
    (VerdictCode.ORGANIZATION_POLICY, "github:personal_token"): Variant(
        summary=_("%(organization)s lets in no personal access tokens (classic)."),
        steps=(
            StepText(_("Connect with the OAuth button."), action=Action.CONNECT, needs_oauth=True),
            StepText(_("Or create a fine-grained token for %(organization)s."), link="fine_grained"),
        ),
    ),
    (VerdictCode.ORGANIZATION_POLICY, "github:fine_grained_token"): Variant(
        summary=_(
            "%(organization)s does not let this fine-grained token in: either none at all, or none that lives as long."
        ),
        steps=(
            StepText(_("Give the token a shorter life."), link="settings"),
            StepText(_("Or connect with the OAuth button."), action=Action.CONNECT, needs_oauth=True),
        ),
    ),
    (VerdictCode.NOT_FOUND_OR_NO_ACCESS, "github:fine_grained_token"): Variant(
        steps=(
            StepText(_("Check the address for a typing mistake.")),
            StepText(
                _(
                    "Look at the token: its resource owner has to be %(owner)s, and the repository has to be selected."
                ),
                link="manage",
            ),
            StepText(_("If it says “Pending”, an owner of %(owner)s has to approve it first.")),
        ),
    ),
    (VerdictCode.NOT_FOUND_OR_NO_ACCESS, "github:oauth"): Variant(
        steps=(
            StepText(_("Check the address for a typing mistake.")),
            StepText(_("If %(owner)s is an organization, look whether it lets this app in."), link="request"),
            StepText(_("Ask somebody who owns the repository to give %(account)s access.")),
        ),
    ),
}

# What a person can send to an owner, who has never heard of any of this.
MESSAGES: Mapping[VerdictCode, Text] = {
    VerdictCode.ORGANIZATION_NOT_APPROVED: _(
        "Hello,\n\n"
        "%(person)s (%(account)s at %(host)s) would like to use repositories of %(organization)s in %(product)s. "
        "%(organization)s lets in only apps that one of its owners has approved.\n\n"
        "To approve it, open this page and choose “Grant” or “Review” beside the app:\n%(approve_url)s\n\n"
        "The app: %(product)s, client id %(client_id)s\n"
        "What it asks for: %(scopes)s\n"
        "Why: to read the repositories that %(person)s chooses. It changes nothing there.\n\n"
        "Thank you."
    ),
    VerdictCode.ORGANIZATION_REQUESTED: _(
        "Hello,\n\n"
        "%(person)s (%(account)s at %(host)s) would like to use repositories of %(organization)s in %(product)s. "
        "The decision is up to one of its owners.\n\n"
        "To decide, open this page and choose “Grant” or “Review” beside the app:\n%(approve_url)s\n\n"
        "The app: %(product)s, client id %(client_id)s\n"
        "What it asks for: %(scopes)s\n"
        "Why: to read the repositories that %(person)s chooses. It changes nothing there.\n\n"
        "Thank you."
    ),
    VerdictCode.TOKEN_PENDING: _(
        "Hello,\n\n"
        "%(person)s (%(account)s at %(host)s) has made a fine-grained token to use repositories of "
        "%(organization)s in %(product)s; it waits for the approval of one of its owners.\n\n"
        "To decide, open this page:\n%(approve_url)s\n\n"
        "What it asks for: reading the contents of the chosen repositories.\n\n"
        "Thank you."
    ),
    VerdictCode.IP_BLOCKED: _(
        "Hello,\n\n"
        "%(person)s (%(account)s at %(host)s) would like to use repositories of %(organization)s in %(product)s. "
        "%(organization)s accepts requests from listed network addresses only, and the address of the server "
        "that runs %(product)s is not on the list. Its administrators can name the address.\n\n"
        "Thank you."
    ),
}

"""Offboarding a person in the administration: what they leave behind, then a receipt for each credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.guarded import actor_of
from credentials.errors import ForgekeyError
from credentials.models import Credential, Status
from credentials.providers.tokens import Kind
from credentials.services import dependents, handing_over, offboarding
from credentials.services.offboarding import Outcome
from credentials.verdicts import Text

if TYPE_CHECKING:
    from credentials.admin.people import AnyUserAdmin as Base
else:  # it stands beside the admin's own class
    Base = object

MAY_DISCONNECT = "credentials.delete_credential"
# At its host such a token stays the person's own, whoever has it here.
_PERSONAL = (
    Kind.OAUTH,
    Kind.APP_TOKEN,
    Kind.PERSONAL_TOKEN,
    Kind.FINE_GRAINED_TOKEN,
    Kind.API_TOKEN,
)
OUTCOMES: Mapping[Outcome, Text] = {
    Outcome.REVOKED: gettext_lazy("revoked at the host"),
    Outcome.ALREADY_INVALID: gettext_lazy("was invalid already"),
    Outcome.MANUAL: gettext_lazy("to be revoked by hand"),
    Outcome.PENDING: gettext_lazy(
        "disconnected here; the host is asked again until it has revoked the token"
    ),
    Outcome.HANDED_OVER: gettext_lazy("handed over"),
    Outcome.QUARANTINED: gettext_lazy("quarantined; nothing is lent of it"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One credential on the page that asks."""

    credential: Credential
    kind: Text
    is_personal: bool
    typed: str
    problem: str


class OffboardAction(Base):
    """For whoever may change people and disconnect credentials."""

    def has_offboard_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request) and request.user.has_perm(MAY_DISCONNECT)

    @admin.action(description=gettext_lazy("Offboard the selected person"), permissions=["offboard"])
    def offboard(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        """Ask with everything that hangs on it; then do it, and show the receipts."""
        people = list(chosen[:2])
        if len(people) != 1:
            text = _("Please choose one person: each is looked at first.")
            self.message_user(request, text, messages.ERROR)
            return None
        (person,) = people
        if person == request.user or not self.has_change_permission(request, person):
            self.message_user(request, _("You cannot offboard this person."), messages.ERROR)
            return None
        if request.POST.get("confirmed") != "yes":
            return self._ask(request, person)
        return self._offboard(request, person)

    def _offboard(self, request: HttpRequest, person: User) -> HttpResponse:
        new_owners, problems = _new_owners(request, person)
        if problems:
            return self._ask(request, person, problems=problems)
        try:
            done = offboarding.offboard(
                actor=actor_of(request),
                user=person,
                hand_over=new_owners,
                revoke=request.POST.get("keep") != "yes",
                reason=request.POST.get("reason", "").strip()[:200],
            )
        except ForgekeyError as error:
            return self._ask(request, person, problem=str(error))
        context = {
            "title": _("%s is offboarded") % person.get_username(),
            "done": done,
            "receipts": [(one, OUTCOMES[one.outcome]) for one in done.credentials],
        }
        return self._page(request, person, "offboarded", context)

    def _ask(
        self,
        request: HttpRequest,
        person: User,
        *,
        problem: str = "",
        problems: Mapping[UUID, str] = MappingProxyType({}),
    ) -> HttpResponse:
        held = list(
            Credential.objects.filter(owner=person)
            .exclude(status=Status.DISCONNECTED)
            .select_related("host", "owner")
            .defer("access_envelope", "refresh_envelope", "fingerprint", "host__client_secret_envelope")
        )
        keys = [credential.pk for credential in held]
        context = {
            "title": _("Offboard %s?") % person.get_username(),
            "problem": problem,
            "rows": [
                _row(request, credential, problem=problems.get(credential.pk, "")) for credential in held
            ],
            "depends_on": dependents.borrowers(keys, now=timezone.now()),
            "organizations": dependents.going_dark(keys),
            "reason": request.POST.get("reason", ""),
            "keep": request.POST.get("keep") == "yes",
            "box": ACTION_CHECKBOX_NAME,
        }
        return self._page(request, person, "offboard", context)

    def _page(self, request: HttpRequest, person: User, name: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "person": person}
        return TemplateResponse(request, f"admin/credentials/{name}.html", {**shared, **context})


def _row(request: HttpRequest, credential: Credential, *, problem: str) -> Row:
    return Row(
        credential=credential,
        kind=Kind(credential.kind).title,
        is_personal=credential.kind in _PERSONAL,
        typed=request.POST.get(f"to-{credential.pk}", ""),
        problem=problem,
    )


def _new_owners(request: HttpRequest, person: User) -> tuple[dict[UUID, Any], dict[UUID, str]]:
    """Who gets what, as typed beside each credential; and beside which of them it cannot be, and why."""
    found: dict[UUID, Any] = {}
    problems: dict[UUID, str] = {}
    typed = {field: str(name).strip() for field, name in request.POST.items() if field.startswith("to-")}
    for field, name in typed.items():
        if not name:
            continue
        key = UUID(field.removeprefix("to-"))
        try:
            found[key] = offboarding.new_owner(name)
            mine = Credential.objects.filter(pk=key, owner=person).exclude(status=Status.DISCONNECTED)
            for credential in mine.select_related("host"):
                handing_over.refuse(credential, to=found[key], now=timezone.now())
        except ForgekeyError as error:
            problems[key] = f"“{name}”: {error}"
    return found, problems

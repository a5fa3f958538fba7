"""What ends when: everything a person has connected, by the day on which it stops working."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from credentials.errors import InputInvalid
from credentials.forms import ExpiryForm, LabelForm
from credentials.models import Credential, Status
from credentials.services import calendar as service
from credentials.services.calendar import End, Mend
from credentials.services.circumstances import actor_of_user
from credentials.web import cards, credential, queries
from credentials.web.cards import CredentialCard, ShownEnd

_OVER = (Status.EXPIRED, Status.REJECTED, Status.RECONNECT_REQUIRED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One credential of the calendar, with its ends, the next first; none where it is over already.

    ``button`` names what mends it; empty where nothing here does.
    """

    card: CredentialCard
    ends: tuple[ShownEnd, ...]
    button: str


@never_cache
@require_safe
def calendar(request: HttpRequest) -> HttpResponse:
    """Everything that ends, by date; then what has no end that is known."""
    now = timezone.now()
    shown = [cards.credential_card(one, now=now) for one in queries.own_credentials(request.user)]
    over = [card for card in shown if card.status in _OVER]
    live = [card for card in shown if card not in over and card.credential.is_lendable]
    known = {row.pk: ends for row, ends in service.read(queries.own(request.user), now=now)}
    dated = [_entry(card, known[card.credential.pk], now=now) for card in live if card.credential.pk in known]
    context = {
        "over": [_entry(card, (), now=now) for card in over],
        "ends": sorted(dated, key=lambda entry: entry.ends[0].end.moment),
        "endless": [card for card in live if card.credential.pk not in known],
        "is_empty": not shown,
    }
    return render(request, "credentials/calendar.html", context)


def _entry(card: CredentialCard, ends: tuple[End, ...], *, now: datetime) -> Entry:
    shown = tuple(cards.shown_end(end, now=now) for end in ends)
    steps = [end.step for end in ends] or [Mend.RECONNECT]
    mendable = next((step for step in steps if step is not Mend.ADMINISTRATOR), None)
    return Entry(card=card, ends=shown, button=_button(card, mendable))


def _button(card: CredentialCard, step: Mend | None) -> str:
    if step is None:
        return ""
    if step is Mend.TEST:
        return "test" if card.can_test else ""
    return "reconnect" if card.can_reconnect else "replace" if card.can_replace else ""


@never_cache
@require_POST
def expiry(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Say when a token ends, where its host does not tell."""
    chosen: Credential = queries.own_credential(request.user, credential_id)
    form = ExpiryForm(request.POST, today=timezone.now().date())
    if form.is_valid():
        try:
            service.set_expiry(
                actor=actor_of_user(request.META, request.user),
                credential=chosen,
                expires_at=form.cleaned_data["expires_at"],
                now=timezone.now(),
            )
        except InputInvalid as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The date was stored. You are told in time before it."))
            return redirect("credential", credential_id=chosen.pk)
    return credential.page(request, credential_id, LabelForm(), form)

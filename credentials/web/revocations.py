"""Tokens that their owner still has to revoke at the host, or may revoke sooner: on the connections page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from credentials.models import Revocation
from credentials.providers.tokens import Kind
from credentials.services import hosts
from credentials.services.circumstances import actor_of_user
from credentials.services.revocation import receipts
from credentials.verdicts import Text
from credentials.web import queries, words


@dataclass(frozen=True, kw_only=True, slots=True)
class Reminder:
    """One token that may live on at its host. ``by_hand`` says why its owner has to end it, if so."""

    revocation: Revocation
    title: str
    why: Text
    by_hand: str


def reminders(user: Any) -> list[Reminder]:
    """What a person is reminded of, newest first."""
    return [
        Reminder(
            revocation=one,
            title=_title(one),
            why=words.LEAVING.get(one.reason, ""),
            by_hand=by_hand(one),
        )
        for one in receipts.reminders(user)
    ]


def by_hand(one: Revocation) -> str:
    """Why a token is left to its owner, in words; empty where it is not."""
    why = receipts.by_hand(one)
    return "" if why is None else str(words.BY_HAND[why]) % {"host": one.host.name}


def _title(one: Revocation) -> str:
    kind = hosts.provider_of(one.host).login_title(Kind(one.kind))
    return one.label or one.account_name or capfirst(str(kind))


@never_cache
@require_POST
def done(request: HttpRequest, revocation_id: UUID) -> HttpResponse:
    """The person says that they revoked it at the host."""
    chosen = queries.own_revocation(request.user, revocation_id)
    receipts.acknowledge(
        actor=actor_of_user(request.META, request.user), revocation=chosen, now=timezone.now()
    )
    messages.success(request, _("Thank you. You are not reminded of it any more."))
    return redirect("connections")

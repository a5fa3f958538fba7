"""The page of one credential, and what its owner can do with it."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credentials.errors import NotFound
from credentials.forms import ExpiryForm, LabelForm
from credentials.models import Credential
from credentials.services import calendar, connect, disconnect, hosts, verify
from credentials.services.circumstances import actor_of_user
from credentials.services.revocation import receipts
from credentials.web import board, cards, queries, revocations
from credentials.web.reauthentication import recent_authentication_required
from credentials.web.verdicts import shown as verdict_shown
from credentials.web.words import RECEIPT


@never_cache
@require_safe
def credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """What is known of a credential."""
    return page(request, credential_id, LabelForm())


def page(
    request: HttpRequest, credential_id: UUID, form: LabelForm, expiry_form: ExpiryForm | None = None
) -> HttpResponse:
    """The page with its forms, as they were filled in if something is wrong with them."""
    shown = queries.shown_credential(request.user, credential_id)
    here = reverse("credential", args=[credential_id])
    provider = hosts.provider_of(shown.host)
    full = calendar.crowded([shown])
    card = cards.credential_card(
        shown, now=timezone.now(), provider=provider, page=here, is_crowded=shown.pk in full
    )
    changes = queries.organization_changes(shown)
    if not form.is_bound:
        form.initial = {"label": shown.label}
    context = {
        "card": card,
        "host": shown.host,
        "provider_title": provider.title,
        "organizations": board.explained(card.organizations, provider, changes=changes, here=here),
        "leases": queries.recent_leases(shown),
        "form": form,
        "expiry_form": (expiry_form or _expiry_form(shown)) if calendar.can_set_expiry(shown) else None,
    }
    return render(request, "credentials/credential.html", context)


def _expiry_form(shown: Credential) -> ExpiryForm:
    known = shown.expires_at.astimezone(UTC).date() if shown.expires_at else None
    return ExpiryForm(today=timezone.now().date(), initial={"expires_at": known})


@never_cache
@require_POST
def test(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Ask the host about the credential, and say what it answered."""
    chosen = queries.own_credential(request.user, credential_id)
    if not chosen.host.is_enabled:
        raise NotFound("This host is switched off.")
    found = verify.verify(
        actor=actor_of_user(request.META, request.user),
        credential=chosen,
        purpose="test by its owner",
        by_hand=True,
    )
    if request.headers.get("HX-Request") == "true":
        context = {
            "shown": verdict_shown(found, here=reverse("credential", args=[chosen.pk]), anchor="ways"),
            "status": cards.credential_card(chosen, now=timezone.now()).badge,
        }
        return render(request, "credentials/_test_result.html", context)
    say = messages.success if found.ok else messages.info
    say(request, f"{found.title}. {found.summary}")
    return redirect("credential", credential_id=chosen.pk)


@never_cache
@require_POST
def rename(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Give a credential another name."""
    chosen = queries.own_credential(request.user, credential_id)
    form = LabelForm(request.POST)
    if not form.is_valid():
        return page(request, credential_id, form)
    connect.rename(
        actor=actor_of_user(request.META, request.user), credential=chosen, label=form.cleaned_data["label"]
    )
    messages.success(request, _("The name was changed."))
    return redirect("credential", credential_id=chosen.pk)


@never_cache
@require_http_methods(["GET", "POST"])
@recent_authentication_required
def ask_and_disconnect(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """GET asks, POST disconnects; what became of the token has a page of its own."""
    chosen = queries.own_credential(request.user, credential_id)
    card = cards.credential_card(queries.shown_credential(request.user, credential_id), now=timezone.now())
    context = {"card": card, "host": chosen.host, "provider_title": hosts.provider_of(chosen.host).title}
    if request.method != "POST":
        return render(request, "credentials/disconnect.html", context)
    disconnect.disconnect(actor=actor_of_user(request.META, request.user), credential=chosen)
    return redirect("credential_receipt", credential_id=credential_id)


@never_cache
@require_safe
def receipt(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """What became of the token of a disconnected credential, as of now; for its owner only."""
    closed = queries.disconnected_credential(request.user, credential_id)
    made = receipts.of(closed)
    result = receipts.result_of(made)
    context = {
        "host": closed.host,
        "title": cards.title_of(closed),
        "receipt": (revocations.by_hand(made) if made else "") or RECEIPT[result.outcome],
        "outcome": result.outcome,
        "manual_url": result.manual_url,
    }
    return render(request, "credentials/disconnected.html", context)

"""The picker: which repositories a connection lists, with a link that checks each."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credentials.errors import (
    Conflict,
    NotFound,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenNotAccepted,
)
from credentials.forms import AddressForm
from credentials.models import Credential
from credentials.services import repositories as service
from credentials.services.circumstances import actor_of_user
from credentials.web import cards, queries
from credentials.web.verdicts import shown

_LONGEST = 500


@never_cache
@require_safe
def repositories(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """One page of the list, as the host gives it at this moment."""
    credential = queries.own_credential(request.user, credential_id)
    if not credential.host.is_enabled:
        raise NotFound("This host is switched off.")
    query, cursor = (request.GET.get(name, "").strip()[:_LONGEST] for name in ("q", "cursor"))
    context = {
        "credential": credential,
        "title": cards.title_of(credential),
        "query": query,
        "is_first": not cursor,
        "address_form": AddressForm(),
    }
    return render(
        request,
        "credentials/repositories.html",
        {**context, **_listed(request, credential, query=query, cursor=cursor)},
    )


def _listed(request: HttpRequest, credential: Credential, *, query: str, cursor: str) -> dict[str, object]:
    host = {"host": credential.host.name}
    actor = actor_of_user(request.META, request.user)
    try:
        page = service.page(actor=actor, credential=credential, query=query, cursor=cursor)
    except TokenNotAccepted as error:
        return {"shown": shown(error.verdict)}
    except Conflict:
        return {"problem": _("This connection cannot be used at the moment. Its page says why.")}
    except ProviderRateLimited:
        return {"problem": _("%(host)s asks us to wait. Try again in a few minutes.") % host}
    except ProviderUnreachable:
        return {"problem": _("%(host)s does not answer at the moment. Try again later.") % host}
    except ProviderError:
        return {
            "problem": _("%(host)s gave no list. Try again, or name the repository by its address.") % host
        }
    return {"page": page, "may_not_list": page is None}

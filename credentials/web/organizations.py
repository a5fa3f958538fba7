"""The buttons of the organization board: ask for access, say that it was denied, look again."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from credentials.errors import NotFound
from credentials.models import AccessState, Credential, OrganizationAccess
from credentials.services import hosts, organizations
from credentials.services.circumstances import actor_of_user
from credentials.web import board, queries
from credentials.web.leaving import leaving
from credentials.web.words import access_badge


@never_cache
@require_POST
def refresh(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Ask about every organization now, and say what came of it."""
    credential = queries.own_credential(request.user, credential_id)
    if not credential.host.is_enabled:
        raise NotFound("This host is switched off.")
    before = _states(credential)
    asked = organizations.refresh(
        actor=actor_of_user(request.META, request.user),
        credential=credential,
        purpose="organization check by its owner",
        by_hand=True,
    )
    changed = [now for key, now in _states(credential).items() if _differs(before.get(key), now)]
    for access in changed:
        messages.success(request, _came_to(access))
    if not asked:
        messages.info(
            request,
            _(
                "%(host)s does not answer, or is left alone for a while. "
                "What was known before still stands; “Test” says more about this connection."
            )
            % {"host": credential.host.name},
        )
    elif not changed:
        messages.info(request, _("Checked: nothing has changed."))
    return redirect("credential", credential_id=credential.pk)


def _states(credential: Credential) -> dict[str, OrganizationAccess]:
    return {one.organization.key: one for one in credential.organizations.select_related("organization")}


def _differs(before: OrganizationAccess | None, now: OrganizationAccess) -> bool:
    return before is None or before.state != now.state


def _came_to(access: OrganizationAccess) -> str:
    return _("%(organization)s: %(state)s.") % {
        "organization": access.organization.name,
        "state": access_badge(access.state).word,
    }


@never_cache
@leaving
@require_POST
def request_access(request: HttpRequest, credential_id: UUID, organization_id: UUID) -> HttpResponse:
    """Keep that approval was asked for, and lead the person to the page where it is."""
    access = queries.own_access(request.user, credential_id, organization_id)
    marked = _mark(request, access, AccessState.REQUESTED)
    if marked.state != AccessState.REQUESTED:
        messages.info(request, _came_to(marked))
        return redirect("credential", credential_id=credential_id)
    target = board.request_target(marked, hosts.provider_of(marked.credential.host))
    if not target:
        messages.info(
            request,
            _("%(host)s has no page for this: send the message to an owner of %(organization)s.")
            % {"host": marked.credential.host.name, "organization": marked.organization.name},
        )
        return redirect("credential", credential_id=credential_id)
    return redirect(target)


@never_cache
@require_POST
def denied(request: HttpRequest, credential_id: UUID, organization_id: UUID) -> HttpResponse:
    """Keep that an owner decided against it."""
    access = queries.own_access(request.user, credential_id, organization_id)
    messages.info(request, _came_to(_mark(request, access, AccessState.DENIED)))
    return redirect("credential", credential_id=credential_id)


def _mark(request: HttpRequest, access: OrganizationAccess, state: AccessState) -> OrganizationAccess:
    actor = actor_of_user(request.META, request.user)
    return organizations.mark(access, state, actor=actor, now=timezone.now())

"""News on the connections page, until the person has read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from credentials.models import Notice
from credentials.services import notices as service
from credentials.web import queries


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownNotice:
    """A notice with its text in the reader's language."""

    notice: Notice
    text: str


def unread(user: Any) -> list[ShownNotice]:
    """What the person has not read yet, newest first."""
    return [ShownNotice(notice=one, text=service.text_of(one)) for one in queries.unread_notices(user)]


@never_cache
@require_POST
def read(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """The person has read it."""
    service.read(queries.own_notice(request.user, notice_id), now=timezone.now())
    return redirect("connections")

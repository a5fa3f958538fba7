"""A new secret on a page, once, in the answer to the request that made it."""

from __future__ import annotations

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from credentials.admin.guarded import AnyAdmin
from credentials.crypto.secret import Secret
from credentials.verdicts import Text


def show_once(
    request: HttpRequest,
    its_admin: AnyAdmin,
    row: Model,
    secret: Secret,
    *,
    title: str,
    label: Text,
    explained: Text,
    hint: Text,
) -> HttpResponse:
    """The page. Not a redirect: a message or a session would keep the secret."""
    context = {
        **its_admin.admin_site.each_context(request),
        "title": title,
        "row": row,
        "label": label,
        "explained": explained,
        "hint": hint,
        "secret": secret.reveal(),
        "opts": its_admin.opts,
    }
    response = TemplateResponse(request, "admin/credentials/shown_once.html", context)
    response["Cache-Control"] = "no-store"
    return response

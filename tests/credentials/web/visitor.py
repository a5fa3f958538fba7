"""A person at the pages: signed in as people do it, with a sign-in that can grow old."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from credentials.crypto.secret import Secret
from credentials.models import Host
from tests import builders
from tests.sandbox import RunningSandbox


def visit(user: User, **options: Any) -> Client:
    """A browser in which ``user`` has just signed in through the sign-in page."""
    client = Client(**options)
    form = {"login": user.get_username(), "password": f"{user.get_username()}-demo"}
    if options.get("enforce_csrf_checks"):
        client.get(reverse("account_login"))
        form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    response = client.post(reverse("account_login"), form)
    assert response.status_code == 302, response.content
    return client


def grow_old(client: Client, seconds: float = 301) -> None:
    """Let the sign-in lie that many seconds further back."""
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {**record, "at": time.time() - seconds} for record in session[AUTHENTICATION_METHODS_SESSION_KEY]
    ]
    session.save()


def everything_in_sessions() -> str:
    """All session rows, as stored and decoded."""
    return "".join(f"{row.session_data}{row.get_decoded()}" for row in Session.objects.all())


def sandbox_host(sandbox: RunningSandbox, slug: str) -> Host:
    """The row of an emulated host, OAuth client included."""
    emulated = sandbox.hosts[slug]
    return builders.host(
        slug,
        provider=emulated.provider,
        web_url=emulated.web_url,
        api_url=emulated.api_url,
        client_id=emulated.client_id,
        client_secret=Secret(emulated.client_secret),
    )


def oauth_host(slug: str = "github", **fields: Any) -> Host:
    """A host that offers OAuth and does not answer."""
    return builders.host(slug, client_id="client-of-forgekey", client_secret=Secret("s" * 40), **fields)

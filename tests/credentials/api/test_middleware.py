"""A call with a service key goes straight to its view; everything else goes the whole way."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import translation

from tests import builders

pytestmark = pytest.mark.django_db

BODY = {"user": "alice", "host": "github", "purpose": "import"}


def unguarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("inside")


urlpatterns = [
    path("api/v1/unguarded/", unguarded),
    path("accounts/login/", unguarded, name="account_login"),
]


def headers(**more: str) -> dict[str, Any]:
    _, key = builders.client()
    return {"headers": {"Authorization": f"Bearer {key.reveal()}", **more}}


def lease(client: Client, **sent: Any) -> Any:
    return client.post("/api/v1/leases/", BODY, content_type="application/json", **sent)


def test_a_lease_carries_every_header_that_means_something_to_a_machine(alice: User) -> None:
    builders.credential(alice, builders.host())
    response = lease(Client(), **headers())
    assert response.status_code == 201
    assert response["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"]
    assert int(response["Content-Length"]) == len(response.content)


def test_a_session_that_comes_with_a_key_is_not_even_read(
    alice: User, django_assert_max_num_queries: Any
) -> None:
    builders.credential(alice, builders.host())
    client = Client()
    client.force_login(alice)
    sent = headers()
    lease(client, **sent)
    with django_assert_max_num_queries(5) as asked:  # SQLite opens and closes a transaction of its own
        assert lease(client, **sent).status_code == 201
    assert not [query for query in asked.captured_queries if "django_session" in query["sql"]]


@pytest.mark.urls(__name__)
def test_a_view_that_does_not_authenticate_by_itself_is_no_nearer_with_a_key() -> None:
    response = Client().get("/api/v1/unguarded/", **headers())
    assert response.status_code == 302
    assert "login" in response["Location"]


@pytest.mark.parametrize("address", ["/", "/admin/", "/api/docs/"])
def test_a_key_opens_no_page(address: str) -> None:
    response = Client().get(address, **headers())
    assert response.status_code in {302, 401, 403}
    assert "script-src 'self'" in response["Content-Security-Policy"]


def test_a_foreign_host_name_is_refused_with_a_key_too(alice: User) -> None:
    builders.credential(alice, builders.host())
    assert lease(Client(), **headers(Host="evil.example")).status_code == 400


def test_a_language_that_one_call_asks_for_does_not_reach_the_next(alice: User) -> None:
    sent = headers()
    asked: dict[str, Any] = {"headers": {**sent["headers"], "Accept-Language": "zh-hans"}}
    Client().get("/api/v1/hosts/", **asked)
    assert translation.get_language() == "zh-hans"
    Client().get("/api/v1/hosts/", **sent)
    assert translation.get_language() == "en"

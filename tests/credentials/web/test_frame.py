"""What holds for every page."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from credentials.models import Credential
from credentials.web import urls
from tests import builders
from tests.credentials.web.visitor import oauth_host, visit

OPEN = {"help_index", "help", "help_imports", "set_language", "livez", "readyz"}
ALLAUTH = (
    "account_change_password",
    "account_email",
    "account_logout",
    "account_reauthenticate",
    "mfa_index",
    "mfa_list_webauthn",
    "usersessions_list",
    "socialaccount_connections",
)


def values(route: str, held: Credential | None = None) -> dict[str, Any]:
    """Something for every name in an address."""
    made: dict[str, Any] = {
        "slug": "github",
        "topic": "ok",
        "pending_id": uuid4(),
        "organization_id": uuid4(),
        "notice_id": uuid4(),
        "revocation_id": uuid4(),
        "import_id": uuid4(),
        "library_id": uuid4(),
        "number": 1,
        "credential_id": held.pk if held else uuid4(),
    }
    return {name: value for name, value in made.items() if f":{name}>" in route}


@pytest.fixture
def held(alice: User) -> Credential:
    return builders.credential(alice, oauth_host(), account_name="octo-alice")


def own_pages(held: Credential) -> list[str]:
    """Every page of ours that answers a plain GET with HTML."""
    names = ("connections", "connect_choose", "connect", "token", "credential", "credential_replace")
    routes = {pattern.name: str(pattern.pattern) for pattern in urls.urlpatterns}
    return [
        reverse(name, kwargs=values(routes[name], held))
        for name in (
            *names,
            "credential_disconnect",
            "repositories",
            "diagnose",
            "help_index",
            "help",
            "import_start",
            "libraries",
            "help_imports",
        )
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_address_but_help_language_and_health_wants_a_sign_in(pattern: Any, method: str) -> None:
    address = reverse(pattern.name, kwargs=values(str(pattern.pattern)))
    response = Client().generic(method, address)
    asked = response.status_code == 302 and response["Location"].startswith(reverse("account_login"))
    assert asked is (pattern.name not in OPEN)


@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
def test_no_post_counts_without_its_csrf_token(alice: User, held: Credential, pattern: Any) -> None:
    client = visit(alice, enforce_csrf_checks=True)
    address = reverse(pattern.name, kwargs=values(str(pattern.pattern), held))
    assert client.post(address).status_code == 403
    assert Credential.objects.get().is_connected


def test_every_page_has_a_strict_policy_and_the_other_headers(alice: User, held: Credential) -> None:
    client = visit(alice)
    for address in [*own_pages(held), *map(reverse, ALLAUTH)]:
        response = client.get(address)
        assert response.status_code == 200, address
        policy = response["Content-Security-Policy"]
        assert "script-src 'self';" in f"{policy};"
        assert "style-src 'self';" in f"{policy};"
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"


def test_pages_about_credentials_are_never_kept_by_a_browser(alice: User, held: Credential) -> None:
    client = visit(alice)
    for address in own_pages(held):
        if not address.startswith("/help/"):
            assert "no-store" in client.get(address)["Cache-Control"], address


def test_no_page_has_inline_code_or_asks_a_stranger(alice: User, held: Credential) -> None:
    client = visit(alice)
    for address in [*own_pages(held), *map(reverse, ALLAUTH)]:
        html = client.get(address).content.decode()
        assert "<style" not in html, address
        assert " style=" not in html, address
        assert " onclick=" not in html, address
        for script in html.split("<script")[1:]:
            opening, body = script.split(">", 1)
            assert 'src="/static/' in opening or 'type="application/json"' in opening, address
            assert 'type="application/json"' in opening or body.startswith("</script>"), address
        for source in [*html.split(' src="')[1:], *html.split('<link rel="stylesheet" href="')[1:]]:
            assert source.startswith(("/static/", "data:")), address


def test_every_page_is_small_and_has_the_frame(alice: User, held: Credential) -> None:
    client = visit(alice)
    for address in [*own_pages(held), *map(reverse, ALLAUTH)]:
        html = client.get(address).content.decode()
        assert len(html.encode()) < 30_000, address
        assert html.count("<h1") == 1, address
        assert 'href="#main"' in html, address
        assert '<main id="main"' in html, address
        assert "<title>" in html, address
        assert "· Forgekey</title>" in html, address


def test_the_product_has_the_name_the_deployment_gives_it(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_PRODUCT_NAME = "Casebook <&>"
    html = visit(alice).get("/").content.decode()
    assert "Casebook &lt;&amp;&gt;" in html
    assert "Forgekey" not in html


def test_only_staff_see_the_way_to_the_admin(alice: User, admin: User) -> None:
    assert reverse("admin:index") not in visit(alice).get("/").content.decode()
    assert reverse("admin:index") in visit(admin).get("/").content.decode()


def test_signing_out_is_a_button_and_not_a_link(alice: User) -> None:
    html = visit(alice).get("/").content.decode()
    assert f'<form method="post" action="{reverse("account_logout")}">' in html
    assert f'href="{reverse("account_logout")}"' not in html


def test_the_language_is_switched_by_a_post_and_leads_back(alice: User) -> None:
    client = visit(alice)
    response = client.post(reverse("set_language"), {"language": "zh-hans", "next": "/connect/"})
    assert response["Location"] == "/connect/"
    assert '<html lang="zh-hans">' in client.get("/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"]
)
def test_the_language_switch_leads_nowhere_else(target: str) -> None:
    response = Client().post(reverse("set_language"), {"language": "en", "next": target})
    assert response["Location"] == "/"


@pytest.mark.django_db
def test_sign_up_is_offered_only_where_it_is_open(settings: Any) -> None:
    assert reverse("account_signup") not in Client().get(reverse("account_login")).content.decode()
    assert "button primary" not in Client().get(reverse("account_signup")).content.decode()
    settings.CREDENTIALS_SIGNUP_OPEN = True
    assert reverse("account_signup") in Client().get(reverse("account_login")).content.decode()


def test_a_page_that_is_not_there_says_so_calmly(alice: User) -> None:
    response = visit(alice).get("/made-up/")
    assert response.status_code == 404
    assert "belongs to somebody else" in response.content.decode()


def test_a_secret_that_cannot_be_opened_is_said_plainly(alice: User, held: Credential, settings: Any) -> None:
    client = visit(alice)
    held.__class__.objects.update(access_envelope=b"\0" * 200)
    response = client.post(reverse("credential_test", kwargs={"credential_id": held.pk}))
    assert response.status_code == 503
    assert "This did not work" in response.content.decode()
    assert "Traceback" not in response.content.decode()


def test_the_page_about_a_fault_needs_nothing_that_may_be_broken() -> None:
    assert "Something went wrong" in render_to_string("500.html")


def test_too_many_attempts_to_sign_in_get_a_calm_page(alice: User) -> None:
    client = Client()
    for _ in range(35):
        response = client.post(reverse("account_login"), {"login": "alice", "password": "wrong"})
    assert response.status_code == 429
    assert "Wait a few minutes" in response.content.decode()

"""Stock sign-in through another site, where a deployment configures it: nothing of it becomes a credential."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.socialaccount import signals
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import (
    GitHubOAuth2Adapter,
    oauth2_callback,
    oauth2_login,
)
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path

from credentials.adapter import SocialAccountAdapter
from credentials.models import AuditEvent, Credential, PendingConnection
from credentials.providers.tokens import Kind
from project.sandbox.seed import number
from project.urls import urlpatterns as deployed
from tests import builders
from tests.credentials.web.visitor import grow_old, visit
from tests.sandbox import RunningSandbox
from tests.sweep import sessions, sweep

pytestmark = pytest.mark.django_db

# The sandbox knows one redirect address below each base; "/social" is added as a base.
urlpatterns = [
    path("social/login/", oauth2_login, name="github_login"),
    path("social/connect/github/callback/", oauth2_callback, name="github_callback"),
    *deployed,
]
SIGN_UP = "/accounts/3rdparty/signup/"


@pytest.fixture
def github(sandbox: RunningSandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """allauth's own GitHub sign-in at the sandbox; every token it gets is told."""
    host = sandbox.hosts["github"]
    sandbox.control("github", "POST", "settings", {"redirect_bases": ["http://testserver/social"]})
    app = {"client_id": host.client_id, "secret": host.client_secret, "key": ""}
    settings.SOCIALACCOUNT_PROVIDERS = {"github": {"APP": app}}
    settings.ROOT_URLCONF = __name__
    for name, address in {
        "authorize_url": f"{host.web_url}/login/oauth/authorize",
        "access_token_url": f"{host.web_url}/login/oauth/access_token",
        "profile_url": f"{host.api_url}/user",
        "emails_url": f"{host.api_url}/user/emails",
    }.items():
        monkeypatch.setattr(GitHubOAuth2Adapter, name, address)
    registry.load()
    monkeypatch.setitem(registry.provider_map, GitHubProvider.id, GitHubProvider)
    tokens: list[str] = []

    def overhear(sociallogin: Any, **_: Any) -> None:
        tokens.append(sociallogin.token.token)

    signals.pre_social_login.connect(overhear)
    yield tokens
    signals.pre_social_login.disconnect(overhear)


def come_back(sandbox: RunningSandbox, browser: Client, process: str = "login") -> Any:
    """Press the button, allow at GitHub, and follow it back."""
    away = browser.post(f"/social/login/?process={process}")
    assert away.status_code == 302, away.content
    answer = sandbox.consent(away["Location"])
    return browser.get("/social/connect/github/callback/", answer)


def rows() -> str:
    text = io.StringIO()
    call_command("dumpdata", stdout=text)
    return text.getvalue()


def places_of(tokens: list[str]) -> list[str]:
    """Where in the database, sessions opened, any of these tokens lies."""
    assert tokens
    assert all(token.startswith("gho_") for token in tokens)
    text = rows()
    places = {"rows": text.encode(), "sessions": b"\n".join(sessions(text))}
    return sweep(places, {str(number): token for number, token in enumerate(tokens)})


def test_an_interrupted_sign_up_keeps_no_token_and_makes_no_credential(
    sandbox: RunningSandbox, github: list[str], settings: Any
) -> None:
    builders.sandbox_host(sandbox, "github")
    settings.CREDENTIALS_SIGNUP_OPEN, settings.SOCIALACCOUNT_AUTO_SIGNUP = True, False
    browser = Client()

    assert come_back(sandbox, browser)["Location"] == SIGN_UP

    assert "token" in browser.session["socialaccount_sociallogin"]  # the sign-up is kept, and goes on
    assert places_of(github) == []
    done = browser.post(SIGN_UP, {"username": "newcomer", "email": "new@example.test"})
    assert done.status_code == 302, done.content
    assert SocialAccount.objects.get().user.username == "newcomer"
    assert browser.session["_auth_user_id"] == str(User.objects.get(username="newcomer").pk)
    assert not SocialToken.objects.exists()
    assert not Credential.objects.exists()
    assert not PendingConnection.objects.exists()
    assert places_of(github) == []


def test_signing_in_leaves_the_credentials_as_they_are(
    sandbox: RunningSandbox, github: list[str], alice: User
) -> None:
    builders.credential(alice, builders.sandbox_host(sandbox, "github"), kind=Kind.OAUTH)
    SocialAccount.objects.create(user=alice, provider="github", uid=str(number("github", "octo-alice")))
    before = list(Credential.objects.values())
    events = AuditEvent.objects.count()
    browser = Client()

    come_back(sandbox, browser)

    assert browser.session["_auth_user_id"] == str(alice.pk)
    assert list(Credential.objects.values()) == before
    assert AuditEvent.objects.count() == events
    assert not SocialToken.objects.exists()
    assert not PendingConnection.objects.exists()
    assert places_of(github) == []


def test_a_link_that_waits_for_a_new_sign_in_keeps_no_token(
    sandbox: RunningSandbox, github: list[str], alice: User
) -> None:
    builders.sandbox_host(sandbox, "github")
    browser = visit(alice)
    grow_old(browser)

    stopped = come_back(sandbox, browser, process="connect")

    assert "/reauthenticate/" in stopped["Location"]
    assert places_of(github) == []
    browser.post(stopped["Location"], {"password": "alice-demo"})
    assert SocialAccount.objects.get().user == alice
    assert not SocialToken.objects.exists()
    assert not Credential.objects.exists()
    assert places_of(github) == []


def test_strangers_make_themselves_no_account_where_sign_up_is_closed(
    sandbox: RunningSandbox, github: list[str]
) -> None:
    builders.sandbox_host(sandbox, "github")

    page = come_back(sandbox, Client())

    assert page.status_code == 200
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()
    assert places_of(github) == []


def test_the_state_has_256_random_bits_and_never_repeats() -> None:
    states = {SocialAccountAdapter().generate_state_param({}) for _ in range(1000)}

    assert len(states) == 1000
    assert {len(state) for state in states} == {43}


def test_a_person_deactivated_meanwhile_does_not_come_back(
    sandbox: RunningSandbox, github: list[str], alice: User
) -> None:
    SocialAccount.objects.create(user=alice, provider="github", uid=str(number("github", "octo-alice")))
    alice.is_active = False
    alice.save()
    browser = Client()

    answer = come_back(sandbox, browser)

    assert answer["Location"] == "/accounts/inactive/"
    assert "_auth_user_id" not in browser.session
    assert places_of(github) == []

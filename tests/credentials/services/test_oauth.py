"""The exchange of a code: what is sent, to where, and what the trail says before the client secret opens."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.errors import (
    ConfigurationError,
    ProviderAnswerUnexpected,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.models import AuditEvent, Host
from credentials.providers.grants import OAuthGrant
from credentials.services import hosts, oauth
from credentials.services.audit import Actor
from tests import builders
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply

pytestmark = pytest.mark.django_db

CALLBACK = "http://testserver/connect/slug/callback/"
GRANTED = json_reply({"access_token": "gho_" + "a" * 36, "token_type": "bearer", "scope": "repo"})


def host_with_app(url: str, provider: str = "github") -> Host:
    return builders.host(
        provider,
        web_url=url,
        api_url=f"{url}/api",
        client_id="client-1",
        client_secret=Secret("the-client-secret"),
    )


def exchange(owner: User, host: Host) -> OAuthGrant:
    return oauth.exchange(
        actor=Actor.user(owner),
        host=host,
        code=Secret("the-code"),
        code_verifier=Secret("v" * 43),
        redirect_uri=CALLBACK,
    )


@pytest.mark.parametrize(
    ("provider", "path", "in_header"),
    [
        ("github", "/login/oauth/access_token", False),
        ("gitlab", "/oauth/token", False),
        ("gitea", "/login/oauth/access_token", False),
        ("bitbucket", "/site/oauth2/access_token", True),
    ],
)
def test_one_request_carries_code_verifier_and_secret_to_the_hosts_own_endpoint(
    alice: User, provider: str, path: str, in_header: bool
) -> None:
    with Server(lambda seen: GRANTED) as server:
        exchange(alice, host_with_app(server.url, provider))
    (seen,) = server.seen
    sent = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}

    assert (seen.method, seen.path) == ("POST", path)
    expected = {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": CALLBACK,
        "code_verifier": "v" * 43,
    }
    if in_header:
        basic = base64.b64encode(b"client-1:the-client-secret").decode()
        assert seen.headers["Authorization"] == f"Basic {basic}"
    else:
        assert "Authorization" not in seen.headers
        expected |= {"client_id": "client-1", "client_secret": "the-client-secret"}
    assert sent == expected


def test_the_trail_says_why_the_client_secret_is_opened(alice: User) -> None:
    with Server(lambda seen: GRANTED) as server:
        host = host_with_app(server.url)
        exchange(alice, host)

    event = AuditEvent.objects.get(action="host.client_secret_opened")
    assert (event.actor_name, event.subject_name, event.purpose) == ("alice", str(host), "oauth code")


def test_a_host_without_a_client_secret_is_the_operators_to_mend(alice: User) -> None:
    with Server(lambda seen: GRANTED) as server, pytest.raises(ConfigurationError):
        exchange(alice, builders.host(web_url=server.url, api_url=server.url, client_id="client-1"))
    assert server.seen == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": "bad_verification_code"}), TokenRejected),
        (json_reply({"error": "invalid_grant"}, 400), TokenRejected),
        (json_reply({"error": "incorrect_client_credentials"}), ProviderAnswerUnexpected),
        (json_reply({"error": "invalid_client"}, 401), ProviderAnswerUnexpected),
        (html_reply(200), ProviderUnreachable),
        (html_reply(502), ProviderUnreachable),
        (Reply(status=302, headers={"Location": "/login"}), ProviderUnreachable),
    ],
)
def test_a_refusal_says_whose_it_is(alice: User, reply: Reply, error: type[Exception]) -> None:
    with Server(lambda seen: reply) as server, pytest.raises(error):
        exchange(alice, host_with_app(server.url))


@pytest.mark.parametrize(("own", "asked"), [([], None), (["repo"], ("repo",))])
def test_people_are_asked_for_the_hosts_own_scopes_or_the_least_that_works(
    db: Any, own: list[str], asked: tuple[str, ...] | None
) -> None:
    host = builders.host(oauth_scopes=own)
    assert oauth.scopes_of(host) == (asked or hosts.provider_of(host).oauth().scopes)
    assert oauth.scopes_of(host)

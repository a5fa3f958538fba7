"""What the sandbox does with a request to revoke, and how it can be made to do it late, or not at all."""

from __future__ import annotations

from http.client import HTTPConnection
from json import dumps, loads
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.sandbox import Minted, RunningSandbox


def ask(
    sandbox: RunningSandbox, slug: str, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(sandbox.hosts[slug].web_url).netloc, timeout=30)
    try:
        sent = {"User-Agent": "tests", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if isinstance(body, dict):
            kind = headers.get("Content_Type", "application/json")
            body = urlencode(body) if "form" in kind else dumps(body)
            sent["Content-Type"] = kind
        connection.request(method, path, body=body, headers=sent)  # type: ignore[arg-type]  # text or nothing
        response = connection.getresponse()
        text = response.read()
        return response.status, loads(text) if text else None
    finally:
        connection.close()


def revoke_leaked(sandbox: RunningSandbox, *tokens: str) -> int:
    return ask(sandbox, "github", "POST", "/api/v3/credentials/revoke", {"credentials": list(tokens)})[0]


def end_oauth(sandbox: RunningSandbox, token: str) -> tuple[int, Any]:
    host = sandbox.hosts["gitlab"]
    form = {"client_id": host.client_id, "client_secret": host.client_secret, "token": token}
    return ask(
        sandbox, "gitlab", "POST", "/oauth/revoke", form, Content_Type="application/x-www-form-urlencoded"
    )


def end_itself(sandbox: RunningSandbox, token: str) -> int:
    path = "/api/v4/personal_access_tokens/self"
    return ask(sandbox, "gitlab", "DELETE", path, Authorization=f"Bearer {token}")[0]


def live(sandbox: RunningSandbox, slug: str) -> int:
    count: int = sandbox.control(slug, "GET", "grants")["count"]
    return count


def github(sandbox: RunningSandbox) -> Minted:
    return sandbox.mint("github", "octo-alice", "personal_token", ["repo"])


def gitlab(sandbox: RunningSandbox, kind: str = "personal_token") -> Minted:
    return sandbox.mint("gitlab", "octo-alice", kind, ["read_user"])


def test_a_token_dies_at_once_when_asked_for(sandbox: RunningSandbox) -> None:
    assert revoke_leaked(sandbox, github(sandbox).token) == 202
    assert end_itself(sandbox, gitlab(sandbox).token) == 204
    assert end_oauth(sandbox, gitlab(sandbox, "oauth").token) == (200, {})
    assert (live(sandbox, "github"), live(sandbox, "gitlab")) == (0, 0)


def test_either_token_of_a_pair_ends_both(sandbox: RunningSandbox) -> None:
    pair = gitlab(sandbox, "oauth")
    end_oauth(sandbox, pair.refresh_token or "")
    assert live(sandbox, "gitlab") == 0
    app = sandbox.mint("github", "octo-alice", "app_user_token")
    revoke_leaked(sandbox, app.refresh_token or "")
    assert live(sandbox, "github") == 0


@pytest.mark.parametrize("slug", ["github", "gitlab"])
def test_a_late_revocation_comes_true_after_its_time(sandbox: RunningSandbox, slug: str) -> None:
    sandbox.control(slug, "POST", "settings", {"revocation_lag_seconds": 60})
    if slug == "github":
        revoke_leaked(sandbox, github(sandbox).token)
    else:
        end_oauth(sandbox, gitlab(sandbox, "oauth").token)
    assert live(sandbox, slug) == 1
    sandbox.control(slug, "POST", "settings", {"clock_offset_seconds": 61})
    assert live(sandbox, slug) == 0


def test_asking_again_does_not_put_it_off(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "settings", {"revocation_lag_seconds": 60})
    token = github(sandbox).token
    revoke_leaked(sandbox, token)
    sandbox.control("github", "POST", "settings", {"clock_offset_seconds": 50})
    revoke_leaked(sandbox, token)
    sandbox.control("github", "POST", "settings", {"clock_offset_seconds": 61})
    assert live(sandbox, "github") == 0


def test_a_request_can_be_answered_and_ignored(sandbox: RunningSandbox) -> None:
    for slug in ("github", "gitlab"):
        sandbox.control(slug, "POST", "settings", {"ignores_revocation": True})
    assert revoke_leaked(sandbox, github(sandbox).token) == 202
    assert end_itself(sandbox, gitlab(sandbox).token) == 204
    assert end_oauth(sandbox, gitlab(sandbox, "oauth").token)[0] == 200
    assert (live(sandbox, "github"), live(sandbox, "gitlab")) == (1, 2)


def test_clients_can_be_refused(sandbox: RunningSandbox) -> None:
    sandbox.control("gitlab", "POST", "settings", {"refuses_clients": True})
    status, answer = end_oauth(sandbox, gitlab(sandbox, "oauth").token)
    assert (status, answer["error"]) == (403, "unauthorized_client")
    form = {"grant_type": "refresh_token", "refresh_token": "any", "client_id": "x", "client_secret": "y"}
    kind = "application/x-www-form-urlencoded"
    status, answer = ask(sandbox, "gitlab", "POST", "/oauth/token", form, Content_Type=kind)
    assert (status, answer["error"]) == (401, "invalid_client")
    assert live(sandbox, "gitlab") == 1

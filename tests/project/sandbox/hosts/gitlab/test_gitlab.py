"""GitLab's OAuth corners and group rules."""

from __future__ import annotations

import pytest

from tests.project.sandbox.caller import Answer, bearer, call
from tests.project.sandbox.test_oauth import sign_in
from tests.sandbox import RunningSandbox


def revoke(sandbox: RunningSandbox, token: str, *, secret: str | None = None) -> Answer:
    host = sandbox.hosts["gitlab"]
    form = {
        "client_id": host.client_id,
        "client_secret": host.client_secret if secret is None else secret,
        "token": token,
    }
    return call("POST", f"{host.web_url}/oauth/revoke", form=form)


def user(sandbox: RunningSandbox, token: str) -> Answer:
    return call("GET", f"{sandbox.hosts['gitlab'].api_url}/user", headers=bearer(token))


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(sandbox: RunningSandbox, which: str) -> None:
    answer = sign_in(sandbox, "gitlab")
    revoked = revoke(sandbox, answer[which])
    assert (revoked.status, revoked.json) == (200, {})
    assert user(sandbox, answer["access_token"]).json["error"] == "invalid_token"
    assert sandbox.control("gitlab", "GET", "grants")["count"] == 0


def test_revoking_what_is_unknown_succeeds_and_with_a_wrong_secret_fails(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, "gitlab")
    assert revoke(sandbox, "unknown").status == 200
    refused = revoke(sandbox, answer["access_token"], secret="wrong")
    assert (refused.status, refused.json["error"]) == (403, "unauthorized_client")
    assert user(sandbox, answer["access_token"]).status == 200


def test_a_clients_token_is_not_revoked_by_the_personal_kind_of_call(sandbox: RunningSandbox) -> None:
    personal = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_user"]).token
    revoke(sandbox, personal)
    assert user(sandbox, personal).status == 200


def test_token_info_tells_the_scopes_and_the_seconds_left(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, "gitlab")
    url = f"{sandbox.hosts['gitlab'].web_url}/oauth/token/info"
    info = call("GET", url, headers=bearer(answer["access_token"])).json
    assert info["scope"] == ["read_user", "read_repository"]
    assert 7100 < info["expires_in"] <= 7200
    assert info["application"]["uid"] == sandbox.hosts["gitlab"].client_id
    assert info["resource_owner_id"] == user(sandbox, answer["access_token"]).json["id"]
    personal = sandbox.mint("gitlab", "octo-alice", "personal_token", ["api"]).token
    assert call("GET", url, headers=bearer(personal)).status == 401


def test_the_answer_of_the_token_endpoint_has_its_recorded_keys(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, "gitlab")
    keys = {"access_token", "token_type", "expires_in", "refresh_token", "scope", "created_at"}
    assert set(answer) == keys
    assert answer["scope"] == "read_user read_repository"
    assert answer["token_type"] == "Bearer"


def test_a_blocked_and_a_hidden_group_differ(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_api"]).token
    url = f"{sandbox.hosts['gitlab'].api_url}/projects/acme%2Fcases"
    sandbox.control("gitlab", "POST", "organizations/acme", {"blocked": True})
    blocked = call("GET", url, headers=bearer(token))
    assert (blocked.status, blocked.json) == (403, {"message": "403 Forbidden"})
    sandbox.control("gitlab", "POST", "organizations/acme", {"blocked": False, "ip_allow_list": True})
    assert call("GET", url, headers=bearer(token)).status == 404


def test_a_spent_allowance_comes_with_and_without_a_time_to_wait(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_user"]).token
    for quota, wait in (("primary", "60"), ("secondary", None)):
        sandbox.control("gitlab", "POST", "faults", {"quota": quota, "times": 1})
        answer = user(sandbox, token)
        assert (answer.status, answer.headers["Retry-After"]) == (429, wait)

"""The control JSON: switches, calls, grants; and who may not touch them."""

from __future__ import annotations

import pytest

from project.sandbox.client import SandboxError
from tests.project.sandbox.caller import bearer, call
from tests.sandbox import RunningSandbox

HOSTS = ["github", "gitlab", "bitbucket", "gitea"]


def test_another_sites_page_may_flip_nothing(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["github"].web_url
    for origin in ("http://evil.example", "null", sandbox.hosts["gitlab"].web_url, web + ".evil.example"):
        for method, path in (
            ("POST", "reset"),
            ("POST", "tokens"),
            ("DELETE", "faults"),
            ("DELETE", "calls"),
        ):
            answer = call(method, f"{web}/_sandbox/{path}", headers={"Origin": origin})
            assert answer.status == 403
    assert call("POST", f"{web}/_sandbox/reset", headers={"Origin": web}, data={}).status == 200


def test_no_page_of_another_name_may_even_read(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['github'].web_url}/_sandbox/state.json"
    assert call("GET", url, headers={"Host": "rebound.example"}).status == 421


def test_calls_are_recorded_with_the_tokens_id_and_never_its_text(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_user"])
    api = sandbox.hosts["gitlab"].api_url
    call("GET", f"{api}/user?page=1&access_token={minted.token}", headers=bearer(minted.token))
    call("GET", f"{api}/user", headers=bearer("wrong"))
    first, second = sandbox.calls("gitlab")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/api/v4/user", 200)
    assert (first["auth"], first["token"]) == ("bearer", minted.id)
    assert first["query"] == ["access_token", "page"]
    assert first["user_agent"] == "forgekey-tests"
    assert (second["status"], second["token"]) == (401, None)
    assert minted.token not in str((first, second))
    assert sandbox.calls("gitlab", since=second["number"]) == []
    sandbox.control("gitlab", "DELETE", "calls")
    assert sandbox.calls("gitlab") == []


def test_control_calls_are_not_recorded(sandbox: RunningSandbox) -> None:
    sandbox.control("gitlab", "GET", "state.json")
    assert sandbox.calls("gitlab") == []


def test_grants_count_what_is_alive_by_kind_and_account(sandbox: RunningSandbox) -> None:
    sandbox.mint("github", "octo-alice", "oauth", ["repo"])
    sandbox.mint("github", "octo-bob", "oauth", ["repo"])
    dead = sandbox.mint("github", "octo-bob", "personal_token", ["repo"])
    sandbox.control("github", "POST", f"tokens/{dead.id}", {"revoked": True})
    assert sandbox.control("github", "GET", "grants")["count"] == 2
    assert sandbox.control("github", "GET", "grants?kind=oauth&account=octo-bob")["count"] == 1
    assert sandbox.control("github", "GET", "grants?kind=personal_token")["count"] == 0


def test_a_token_can_be_changed_expired_and_forgotten(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_user"])
    url = f"{sandbox.hosts['gitlab'].api_url}/user"
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", {"scopes": []})
    assert call("GET", url, headers=bearer(minted.token)).status == 403
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", {"scopes": ["read_user"], "expires_in": 0})
    assert "expired" in call("GET", url, headers=bearer(minted.token)).json["error_description"]
    sandbox.control("gitlab", "DELETE", f"tokens/{minted.id}")
    assert call("GET", url, headers=bearer(minted.token)).json == {"message": "401 Unauthorized"}


@pytest.mark.parametrize("host", HOSTS)
def test_a_switch_the_provider_does_not_have_is_refused(sandbox: RunningSandbox, host: str) -> None:
    with pytest.raises(SandboxError, match="no such switch"):
        sandbox.control(host, "POST", "organizations/acme", {"name": "x"})


def test_gitea_has_no_switch_for_single_sign_on(sandbox: RunningSandbox) -> None:
    with pytest.raises(SandboxError, match="sso"):
        sandbox.control("gitea", "POST", "organizations/acme", {"sso": True})


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "organizations/nope", {}),
        ("POST", "tokens/nope", {}),
        ("DELETE", "tokens/nope", None),
        ("GET", "nope", None),
        ("PUT", "faults", {}),
    ],
)
def test_what_does_not_exist_is_not_found(
    sandbox: RunningSandbox, method: str, path: str, data: dict[str, str] | None
) -> None:
    with pytest.raises(SandboxError, match="no such thing"):
        sandbox.control("github", method, path, data)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("faults", {"status": "soon"}),
        ("faults", {"nonsense": 1}),
        ("settings", {"replica_lag_seconds": "x"}),
        ("tokens", {"account": "octo-alice", "kind": "oauth", "scopes": 7}),
        ("tokens", {"account": "octo-alice", "kind": "oauth", "expires_in": "never"}),
    ],
)
def test_a_wrong_value_is_refused_and_the_process_goes_on(
    sandbox: RunningSandbox, path: str, data: dict[str, object]
) -> None:
    with pytest.raises(SandboxError):
        sandbox.control("github", "POST", path, data)
    assert sandbox.control("github", "GET", "state.json")["faults"] == []


def test_a_form_leads_back_to_the_page(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["github"].web_url
    answer = call("POST", f"{web}/_sandbox/organizations/assxxx", form={"approved": "true", "sso": "false"})
    assert (answer.status, answer.headers["Location"]) == (303, "/_sandbox/")
    assert sandbox.control("github", "GET", "state.json")["organizations"]["assxxx"]["approved"]


def test_a_reset_of_one_host_leaves_the_others_alone(sandbox: RunningSandbox) -> None:
    for host in ("github", "gitlab"):
        sandbox.mint(host, "octo-alice", "oauth")
    sandbox.control("github", "POST", "reset", {})
    assert sandbox.control("github", "GET", "grants")["count"] == 0
    assert sandbox.control("gitlab", "GET", "grants")["count"] == 1

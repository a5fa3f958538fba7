"""Bitbucket's answers to OAuth, and what every answer says about the credential."""

from __future__ import annotations

from tests.project.sandbox.caller import basic, bearer, call
from tests.project.sandbox.test_oauth import sign_in
from tests.sandbox import RunningSandbox


def test_the_token_answer_has_scope_and_not_scopes(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, "bitbucket")
    assert answer["scope"] == "repository account"
    assert "scopes" not in answer
    assert answer["expires_in"] == 7200


def test_without_a_scope_the_consumers_scopes_are_granted(sandbox: RunningSandbox) -> None:
    assert sign_in(sandbox, "bitbucket", scope=None)["scope"] == "account email repository"


def test_an_unused_refresh_token_dies_after_three_months(sandbox: RunningSandbox) -> None:
    sign_in(sandbox, "bitbucket")
    sandbox.control("bitbucket", "POST", "settings", {"clock_offset_seconds": 90 * 86_400 + 1})
    assert sandbox.control("bitbucket", "GET", "grants")["count"] == 0


def test_every_answer_names_the_kind_and_the_scopes_of_the_credential(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['bitbucket'].api_url}/repositories/acme/cases"
    api = sandbox.mint("bitbucket", "octo-alice", "api_token", ["read:repository:bitbucket"])
    answer = call("GET", url, headers=basic(api.email, api.token))
    assert answer.headers["X-Credential-Type"] == "api_token"
    assert answer.headers["X-Oauth-Scopes"] == "read:repository:bitbucket"
    assert answer.headers["X-Accepted-Oauth-Scopes"] == "read:repository:bitbucket"
    for resource, kind in (("acme", "workspace_access_token"), ("acme/cases", "repo_access_token")):
        minted = sandbox.mint("bitbucket", "octo-alice", "access_token", ["repository"], resource=resource)
        assert call("GET", url, headers=bearer(minted.token)).headers["X-Credential-Type"] == kind


def test_a_spent_allowance_says_nothing_about_when_to_come_back(sandbox: RunningSandbox) -> None:
    sandbox.control("bitbucket", "POST", "faults", {"quota": "primary"})
    answer = call("GET", f"{sandbox.hosts['bitbucket'].api_url}/user")
    assert (answer.status, answer.headers["Retry-After"]) == (429, None)
    assert answer.json["type"] == "error"

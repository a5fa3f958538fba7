"""GitHub's resources for applications, and its GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.project.sandbox.test_oauth import sign_in
from tests.sandbox import RunningSandbox

QUERY = "query { viewer { login organizations(first: 100) { nodes { login databaseId } } } }"


def ask_app(
    sandbox: RunningSandbox, method: str, what: str, token: str, *, secret: str | None = None
) -> Answer:
    host = sandbox.hosts["github"]
    url = f"{host.api_url}/applications/{host.client_id}/{what}"
    shown = basic(host.client_id, host.client_secret if secret is None else secret)
    return call(method, url, headers=shown, data={"access_token": token})


def user(sandbox: RunningSandbox, token: str) -> int:
    return call("GET", f"{sandbox.hosts['github'].api_url}/user", headers=bearer(token)).status


def graphql(sandbox: RunningSandbox, token: str, query: str = QUERY) -> Any:
    url = f"{sandbox.hosts['github'].web_url}/api/graphql"
    return call("POST", url, headers=bearer(token), data={"query": query}).json


def test_an_application_checks_a_token_of_its_own(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("github", "octo-alice", "oauth", ["repo"]).token
    facts = ask_app(sandbox, "POST", "token", token).json
    assert facts["user"]["login"] == "octo-alice"
    assert facts["scopes"] == ["repo"]
    assert facts["token_last_eight"] == token[-8:]
    assert facts["expires_at"] is None
    assert facts["app"]["client_id"] == sandbox.hosts["github"].client_id


def test_a_token_of_somebody_else_and_a_wrong_secret_are_refused(sandbox: RunningSandbox) -> None:
    personal = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    token = sandbox.mint("github", "octo-alice", "oauth", ["repo"]).token
    assert ask_app(sandbox, "POST", "token", personal).status == 404
    assert ask_app(sandbox, "POST", "token", "gho_wrong").status == 404
    assert ask_app(sandbox, "POST", "token", token, secret="wrong").status == 401
    assert user(sandbox, token) == 200


def test_a_reset_gives_a_new_token_and_ends_the_old(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("github", "octo-alice", "oauth", ["repo"]).token
    new = ask_app(sandbox, "PATCH", "token", token).json["token"]
    assert (user(sandbox, token), user(sandbox, new)) == (401, 200)


def test_deleting_a_token_ends_one_and_deleting_the_grant_ends_all(sandbox: RunningSandbox) -> None:
    first, second, third = (sandbox.mint("github", "octo-alice", "oauth", ["repo"]).token for _ in range(3))
    bobs = sandbox.mint("github", "octo-bob", "oauth", ["repo"]).token
    assert ask_app(sandbox, "DELETE", "token", first).status == 204
    assert [user(sandbox, token) for token in (first, second, third)] == [401, 200, 200]
    assert ask_app(sandbox, "DELETE", "grant", second).status == 204
    assert [user(sandbox, token) for token in (second, third, bobs)] == [401, 401, 200]


def test_the_eleventh_sign_in_ends_the_first_token(sandbox: RunningSandbox) -> None:
    tokens = [sign_in(sandbox, "github")["access_token"] for _ in range(11)]
    assert user(sandbox, tokens[0]) == 401
    assert [user(sandbox, token) for token in tokens[1:]] == [200] * 10


def test_found_tokens_are_revoked_for_anybody_but_not_with_a_credential(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    url = f"{sandbox.hosts['github'].api_url}/credentials/revoke"
    assert call("POST", url, data={"credentials": [token]}, headers=bearer(token)).status == 403
    assert call("POST", url, data={"credentials": []}).status == 422
    assert call("POST", url, data={"credentials": [token, "unknown"]}).status == 202
    assert user(sandbox, token) == 401


def test_installations_are_listed_for_app_tokens_only(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['github'].api_url}/user/installations"
    app = sandbox.mint("github", "octo-alice", "app_user_token").token
    listed = call("GET", url, headers=bearer(app)).json
    names = [item["account"]["login"] for item in listed["installations"]]
    assert names == ["octo-alice", "acme", "sso-corp", "locked-corp"]
    assert {item["app_slug"] for item in listed["installations"]} == {"forgekey-app"}
    personal = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    assert call("GET", url, headers=bearer(personal)).status == 403


def test_graphql_shows_a_gap_and_a_reason_for_every_organization_that_is_closed(
    sandbox: RunningSandbox,
) -> None:
    token = sandbox.mint("github", "octo-alice", "oauth", ["read:org"]).token
    answer = graphql(sandbox, token)
    nodes = answer["data"]["viewer"]["organizations"]["nodes"]
    assert [node and node["login"] for node in nodes] == ["acme", None, None, "locked-corp"]
    restricted, unsigned = answer["errors"]
    assert restricted["type"] == unsigned["type"] == "FORBIDDEN"
    assert restricted["path"][-1] == 1
    assert "`assxxx` organization has enabled OAuth App access restrictions" in restricted["message"]
    assert not restricted["extensions"]["saml_failure"]
    assert unsigned["extensions"]["saml_failure"]


def test_graphql_without_errors_has_no_such_key(sandbox: RunningSandbox) -> None:
    bobs = sandbox.mint("github", "octo-bob", "oauth", ["read:org"]).token
    assert "errors" not in graphql(sandbox, bobs)


def test_graphql_wants_a_scope_for_organizations_and_none_for_the_viewer(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    assert graphql(sandbox, token)["errors"][0]["type"] == "INSUFFICIENT_SCOPES"
    assert graphql(sandbox, token, "{ viewer { login } }")["data"]["viewer"]["login"] == "octo-alice"


@pytest.mark.parametrize("token", ["", "gho_wrong"])
def test_graphql_wants_a_token(sandbox: RunningSandbox, token: str) -> None:
    assert graphql(sandbox, token)["message"] == "Bad credentials"

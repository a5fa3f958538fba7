"""Gitea: granular scopes, the trap of the empty scope, and the resources."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.project.sandbox.caller import Answer, bearer, call
from tests.project.sandbox.test_oauth import sign_in
from tests.sandbox import RunningSandbox


def get(sandbox: RunningSandbox, path: str, token: str | None) -> Answer:
    shown = {"Authorization": f"token {token}"} if token else {}
    return call("GET", f"{sandbox.hosts['gitea'].api_url}{path}", headers=shown)


def mint(sandbox: RunningSandbox, *scopes: str) -> str:
    return sandbox.mint("gitea", "octo-alice", "personal_token", scopes).token


@pytest.mark.parametrize(
    ("path", "scopes", "missing"),
    [
        ("/user", ["read:repository"], "read:user"),
        ("/user/orgs", ["read:user"], "read:organization"),
        ("/user/orgs", ["read:organization"], "read:user"),
        ("/user/repos", ["read:user"], "read:repository"),
        ("/repos/acme/cases", ["read:user"], "read:repository"),
        ("/repos/acme/public-cases", ["read:user"], "read:repository"),
    ],
)
def test_a_missing_scope_is_named(
    sandbox: RunningSandbox, path: str, scopes: list[str], missing: str
) -> None:
    answer = get(sandbox, path, mint(sandbox, *scopes))
    assert answer.status == 403
    assert answer.json["message"] == f"token does not have at least one of required scope(s): [{missing}]"
    assert answer.json["url"].endswith("/api/swagger")


@pytest.mark.parametrize("scope", ["read:user", "write:user", "all"])
def test_writing_and_all_include_reading(sandbox: RunningSandbox, scope: str) -> None:
    answer = get(sandbox, "/user", mint(sandbox, scope))
    assert answer.json["login"] == answer.json["username"] == "octo-alice"


@pytest.mark.parametrize("token", [None, "0" * 40])
def test_without_a_good_token_one_is_required(sandbox: RunningSandbox, token: str | None) -> None:
    answer = get(sandbox, "/user", token)
    assert (answer.status, answer.json["message"]) == (401, "token is required")


def test_bearer_does_as_well_as_token(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['gitea'].api_url}/user"
    assert call("GET", url, headers=bearer(mint(sandbox, "read:user"))).status == 200


@pytest.mark.parametrize("scope", [None, "", "openid email"])
def test_a_request_without_a_granular_scope_gets_full_access(
    sandbox: RunningSandbox, scope: str | None
) -> None:
    answer = sign_in(sandbox, "gitea", scope=scope)
    assert "scope" not in answer
    assert sandbox.control("gitea", "GET", "grants")["grants"][0]["scopes"] == ["all"]
    assert get(sandbox, "/user/orgs", answer["access_token"]).status == 200


def test_a_granular_scope_is_honoured(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, "gitea", scope="read:user")
    assert answer["access_token"].count(".") == 2
    assert get(sandbox, "/user", answer["access_token"]).status == 200
    assert get(sandbox, "/repos/acme/cases", answer["access_token"]).status == 403


def test_userinfo_names_the_subject(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['gitea'].web_url}/login/oauth/userinfo"
    answer = call("GET", url, headers=bearer(sign_in(sandbox, "gitea")["access_token"]))
    assert answer.json["preferred_username"] == "octo-alice"
    assert answer.json["sub"].isdecimal()


def test_organizations_and_repositories_are_listed_with_a_total(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read:user", "read:organization", "read:repository")
    organizations = get(sandbox, "/user/orgs?limit=3", token)
    assert [item["username"] for item in organizations.json] == ["acme", "assxxx", "sso-corp"]
    assert organizations.headers["X-Total-Count"] == "4"
    assert 'rel="next"' in organizations.headers["Link"]
    assert get(sandbox, "/user/repos", token).headers["X-Total-Count"] == "6"
    found = get(sandbox, "/repos/search?q=abc", token).json
    assert [item["full_name"] for item in found["data"]] == ["assxxx/ABC"]
    bob = sandbox.mint("gitea", "octo-bob", "personal_token", ["read:user", "read:repository"]).token
    uid = get(sandbox, "/user", bob).json["id"]
    found = get(sandbox, f"/repos/search?uid={uid}&is_private=true", bob).json
    assert [item["full_name"] for item in found["data"]] == ["octo-bob/own-cases", "acme/cases"]
    assert get(sandbox, "/orgs/acme", token).json["full_name"] == "Acme"
    assert get(sandbox, "/orgs/nope", token).status == 404


def test_a_repository_that_is_not_ones_own_cannot_be_found(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read:repository")
    assert get(sandbox, "/repos/acme/cases", token).json["private"] is True
    answer = get(sandbox, "/repos/octo-bob/own-cases", token)
    assert (answer.status, answer.json["message"]) == (404, "The target couldn't be found.")
    assert get(sandbox, "/repos/acme/cases", mint(sandbox, "read:repository", "public-only")).status == 404
    assert get(sandbox, "/repos/acme/public-cases", None).status == 200


def test_an_archive_is_a_zip_of_the_reference(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read:repository")
    answer = get(sandbox, "/repos/acme/cases/archive/v1.zip", token)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert "cases/library.yaml" in archive.namelist()
    for file in ("nope.zip", "main.rar"):
        assert get(sandbox, f"/repos/acme/cases/archive/{file}", token).status == 404


def test_the_version_is_public(sandbox: RunningSandbox) -> None:
    assert get(sandbox, "/version", None).json["version"]


def test_a_spent_allowance_says_when_to_come_back(sandbox: RunningSandbox) -> None:
    sandbox.control("gitea", "POST", "faults", {"quota": "primary"})
    assert get(sandbox, "/version", None).headers["Retry-After"] == "60"

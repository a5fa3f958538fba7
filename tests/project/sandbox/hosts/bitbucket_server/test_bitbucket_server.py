"""Bitbucket Data Center: callers named in a header, projects by key, and who may clone with which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.project.sandbox.test_git_http import clone
from tests.sandbox import RunningSandbox

HOST = "bitbucket-server"
NOT_PERMITTED = "com.atlassian.bitbucket.AuthorisationException"


def get(sandbox: RunningSandbox, path: str, token: str | None) -> Answer:
    shown = bearer(token) if token else {}
    return call("GET", f"{sandbox.hosts[HOST].api_url}{path}", headers=shown)


def mint(sandbox: RunningSandbox, resource: str | None = None) -> str:
    kind = "access_token" if resource else "personal_token"
    return sandbox.mint(HOST, "octo-alice", kind, ["REPO_READ"], resource=resource).token


def exception(answer: Answer) -> str:
    (error,) = answer.json["errors"]
    assert error["message"]
    return str(error["exceptionName"])


def test_the_header_names_the_caller_and_its_absence_a_wrong_token(sandbox: RunningSandbox) -> None:
    good = get(sandbox, "/application-properties", mint(sandbox))
    assert (good.status, good.headers["X-AUSERNAME"]) == (200, "octo-alice")
    robot = get(sandbox, "/application-properties", mint(sandbox, "acme"))
    assert robot.headers["X-AUSERNAME"].startswith("access-token-user%2F1%2F")
    for token in (None, "wrong"):
        answer = get(sandbox, "/application-properties", token)
        assert (answer.status, answer.headers["X-AUSERNAME"]) == (200, None)
        assert answer.json["displayName"] == "Bitbucket"


def test_a_wrong_token_is_refused_where_anything_is_at_stake(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/projects", "wrong")
    assert (answer.status, exception(answer).rpartition(".")[2]) == (
        401,
        "IncorrectPasswordAuthenticationException",
    )


def test_a_user_is_found_by_slug_and_not_by_strangers(sandbox: RunningSandbox) -> None:
    found = get(sandbox, "/users/octo-bob", mint(sandbox)).json
    assert (found["name"], found["type"]) == ("octo-bob", "NORMAL")
    assert isinstance(found["id"], int)
    assert get(sandbox, "/users/nobody", mint(sandbox)).status == 404
    assert exception(get(sandbox, "/users/octo-bob", None)) == NOT_PERMITTED


def test_projects_are_listed_from_a_start_with_where_the_next_page_begins(sandbox: RunningSandbox) -> None:
    token = mint(sandbox)
    first = get(sandbox, "/projects?limit=3", token).json
    assert [item["key"] for item in first["values"]] == ["ACME", "ASSXXX", "SSO_CORP"]
    assert (first["isLastPage"], first["nextPageStart"], first["size"]) == (False, 3, 3)
    last = get(sandbox, "/projects?limit=3&start=3", token).json
    assert [item["key"] for item in last["values"]] == ["LOCKED_CORP"]
    assert (last["isLastPage"], last["nextPageStart"]) == (True, None)
    strangers = get(sandbox, "/projects", None).json
    assert [item["key"] for item in strangers["values"]] == ["ACME"]


@pytest.mark.parametrize("key", ["ACME", "acme", "Acme"])
def test_a_key_is_the_same_in_every_case(sandbox: RunningSandbox, key: str) -> None:
    assert get(sandbox, f"/projects/{key}", mint(sandbox)).json["key"] == "ACME"
    found = get(sandbox, f"/projects/{key}/repos/cases", mint(sandbox)).json
    assert (found["slug"], found["public"], found["project"]["key"]) == ("cases", False, "ACME")
    assert found["links"]["clone"][0]["href"].endswith("/scm/acme/cases.git")


def test_a_person_has_a_project_of_their_own(sandbox: RunningSandbox) -> None:
    found = get(sandbox, "/projects/~octo-alice/repos/private-cases", mint(sandbox)).json
    assert (found["project"]["key"], found["project"]["type"]) == ("~OCTO-ALICE", "PERSONAL")
    assert found["links"]["clone"][0]["href"].endswith("/scm/~octo-alice/private-cases.git")


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/projects/NOPE", 404, "project.NoSuchProjectException"),
        ("/projects/NOPE/repos/cases", 404, "project.NoSuchProjectException"),
        ("/projects/ACME/repos/nope", 404, "repository.NoSuchRepositoryException"),
        ("/projects/~octo-bob/repos/own-cases", 401, "AuthorisationException"),
        ("/projects/~octo-bob", 401, "AuthorisationException"),
    ],
)
def test_what_is_missing_and_what_is_closed_are_told_apart(
    sandbox: RunningSandbox, path: str, status: int, name: str
) -> None:
    answer = get(sandbox, path, mint(sandbox))
    assert (answer.status, exception(answer)) == (status, f"com.atlassian.bitbucket.{name}")


def test_repositories_are_found_by_name(sandbox: RunningSandbox) -> None:
    found = get(sandbox, "/repos?name=abc", mint(sandbox)).json["values"]
    assert [(item["slug"], item["name"]) for item in found] == [("abc", "ABC")]
    assert len(get(sandbox, "/projects/acme/repos", mint(sandbox)).json["values"]) == 2
    assert (
        get(sandbox, "/projects/acme/repos/cases/default-branch", mint(sandbox)).json["displayId"] == "main"
    )


def test_a_token_of_a_project_reaches_nothing_else(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "acme")
    assert get(sandbox, "/projects/ACME/repos/cases", token).status == 200
    assert exception(get(sandbox, "/projects/ASSXXX/repos/abc", token)) == NOT_PERMITTED


def test_a_blocked_project_lets_nobody_in(sandbox: RunningSandbox) -> None:
    sandbox.control(HOST, "POST", "organizations/acme", {"blocked": True})
    assert exception(get(sandbox, "/projects/ACME/repos/cases", mint(sandbox))) == NOT_PERMITTED


def test_a_spent_allowance_says_when_to_come_back(sandbox: RunningSandbox) -> None:
    sandbox.control(HOST, "POST", "faults", {"quota": "primary"})
    answer = get(sandbox, "/projects", None)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")


def test_the_page_for_tokens_makes_one(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts[HOST].web_url}/plugins/servlet/access-tokens/manage"
    assert "BBDC-" in call("POST", url, form={"account": "octo-alice"}).text


# --- Git ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "resource", "repository", "works"),
    [
        ("octo-alice", None, "scm/acme/cases", True),
        ("Octo-Alice", None, "scm/ACME/cases", True),
        ("octo-alice", None, "scm/~octo-alice/private-cases", True),
        ("octo-alice", None, "scm/assxxx/abc", True),
        ("x-token-auth", None, "scm/acme/cases", False),
        ("octo-bob", None, "scm/acme/cases", False),
        ("octo-alice", None, "scm/octo-alice/private-cases", False),
        ("octo-alice", None, "scm/~octo-bob/own-cases", False),
        ("octo-alice", None, "acme/cases", False),
        ("x-token-auth", "acme", "scm/acme/cases", True),
        ("x-token-auth", "acme/cases", "scm/acme/cases", True),
        ("octo-alice", "acme", "scm/acme/cases", False),
        ("x-token-auth", "acme", "scm/assxxx/abc", False),
    ],
)
def test_git_wants_the_right_name_beside_the_token(
    sandbox: RunningSandbox, tmp_path: Path, username: str, resource: str | None, repository: str, works: bool
) -> None:
    result = clone(sandbox, tmp_path, HOST, repository, username, mint(sandbox, resource))
    assert (result.returncode == 0) is works, result.stderr


def test_git_takes_every_token_as_bearer(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts[HOST].web_url}/scm/acme/cases.git/info/refs?service=git-upload-pack"
    for resource in (None, "acme"):
        assert call("GET", url, headers=bearer(mint(sandbox, resource))).status == 200
    refused = call("GET", url, headers=basic("octo-alice", "wrong"))
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="Atlassian Bitbucket"')


def test_a_public_repository_is_cloned_by_anybody(sandbox: RunningSandbox, tmp_path: Path) -> None:
    assert clone(sandbox, tmp_path, HOST, "scm/acme/public-cases").returncode == 0

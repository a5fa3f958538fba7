"""GitLab's REST resources: the token itself first, then what needs more than `read_repository`."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tests.project.sandbox.caller import Answer, bearer, call
from tests.sandbox import RunningSandbox

SELF = "/personal_access_tokens/self"


def ask(sandbox: RunningSandbox, path: str, token: str | None, *, method: str = "GET") -> Answer:
    shown = {"PRIVATE-TOKEN": token} if token else {}
    return call(method, f"{sandbox.hosts['gitlab'].api_url}{path}", headers=shown)


def mint(sandbox: RunningSandbox, *scopes: str, kind: str = "personal_token", **more: Any) -> str:
    return sandbox.mint("gitlab", "octo-alice", kind, scopes, **more).token


def test_a_token_with_read_repository_alone_describes_itself(sandbox: RunningSandbox) -> None:
    facts = ask(sandbox, SELF, mint(sandbox, "read_repository", expires_in=86_400)).json
    assert facts["scopes"] == ["read_repository"]
    assert facts["active"] is True
    assert facts["revoked"] is False
    assert len(facts["expires_at"]) == len("2026-01-01")
    assert isinstance(facts["user_id"], int)


def test_bearer_does_as_well_as_the_private_header(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_repository")
    url = f"{sandbox.hosts['gitlab'].api_url}{SELF}"
    assert call("GET", url, headers=bearer(token)).status == 200
    assert call("GET", f"{url}?private_token={token}").status == 401


@pytest.mark.parametrize(
    "path", ["/user", "/projects", "/groups", "/version", "/projects/acme%2Fcases/repository/archive.zip"]
)
def test_read_repository_is_not_enough_for_the_rest(sandbox: RunningSandbox, path: str) -> None:
    answer = ask(sandbox, path, mint(sandbox, "read_repository"))
    assert answer.status == 403
    assert answer.json["error"] == "insufficient_scope"
    assert answer.json["error_description"] == (
        "The request requires higher privileges than provided by the access token."
    )
    assert "api" in answer.json["scope"].split()


def test_unknown_revoked_and_expired_tokens_are_told_apart(sandbox: RunningSandbox) -> None:
    assert ask(sandbox, SELF, "glpat-wrong").json == {"message": "401 Unauthorized"}
    for change, words in (
        ({"revoked": True}, "Token was revoked."),
        ({"expires_in": 0}, "Token is expired."),
    ):
        minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_user"])
        sandbox.control("gitlab", "POST", f"tokens/{minted.id}", change)
        answer = ask(sandbox, SELF, minted.token)
        assert (answer.status, answer.json["error"]) == (401, "invalid_token")
        assert answer.json["error_description"].startswith(words)


def test_an_oauth_token_is_no_personal_token(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "api", kind="oauth")
    url = f"{sandbox.hosts['gitlab'].api_url}{SELF}"
    answer = call("GET", url, headers=bearer(token))
    assert answer.status == 400
    assert "requires token type to be a personal access token" in answer.json["message"]
    assert call("POST", f"{url}/rotate", headers=bearer(token)).status == 405


def test_a_token_ends_itself(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_repository")
    assert ask(sandbox, SELF, token, method="DELETE").status == 204
    assert ask(sandbox, SELF, token).status == 401


def test_a_token_rotates_itself_with_the_scope_for_it(sandbox: RunningSandbox) -> None:
    assert ask(sandbox, f"{SELF}/rotate", mint(sandbox, "read_api"), method="POST").status == 403
    old = mint(sandbox, "self_rotate", "read_repository")
    new = ask(sandbox, f"{SELF}/rotate", old, method="POST").json
    assert ask(sandbox, SELF, old).status == 401
    assert ask(sandbox, SELF, new["token"]).json["scopes"] == ["self_rotate", "read_repository"]


def test_associations_list_what_the_token_reaches_whatever_its_scopes(sandbox: RunningSandbox) -> None:
    facts = ask(sandbox, f"{SELF}/associations", mint(sandbox, "read_repository")).json
    names = [item["path_with_namespace"] for item in facts["projects"]]
    assert {"octo-alice/private-cases", "acme/cases"} <= set(names)
    assert "sso-corp/cases" not in names
    paths = [item["web_url"].rpartition("/groups/")[2] for item in facts["groups"]]
    assert paths == ["acme", "assxxx", "locked-corp"]


def test_the_pages_of_associations_are_counted_by_their_projects(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_repository")
    first = ask(sandbox, f"{SELF}/associations?per_page=2", token)
    last = ask(sandbox, f"{SELF}/associations?per_page=2&page=3", token)
    assert (first.headers["X-Next-Page"], last.headers["X-Next-Page"]) == ("2", "")
    assert [len(first.json["groups"]), len(last.json["groups"])] == [2, 0]


def test_a_group_hides_from_other_networks_and_refuses_where_it_is_blocked(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_api")
    for switch, status in (("ip_allow_list", 404), ("blocked", 403)):
        sandbox.control("gitlab", "POST", "organizations/acme", {switch: True})
        assert ask(sandbox, "/groups/acme", token).status == status
        sandbox.control("gitlab", "POST", "organizations/acme", {switch: False})


def test_a_user_and_the_version_need_read_user(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_user")
    assert ask(sandbox, "/user", token).json["username"] == "octo-alice"
    assert ask(sandbox, "/user", token).json["id"] == ask(sandbox, SELF, token).json["user_id"]
    assert ask(sandbox, "/version", token).json["version"]
    assert ask(sandbox, "/projects", token).status == 403


def test_a_project_token_is_a_bot_and_reaches_its_project_only(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_api", kind="project_access_token", resource="sso-corp/cases")
    bot = ask(sandbox, "/user", token).json
    assert bot["bot"] is True
    assert bot["username"].startswith("project_")
    assert ask(sandbox, SELF, token).json["user_id"] == bot["id"]
    assert ask(sandbox, "/projects/sso-corp%2Fcases", token).status == 200
    assert ask(sandbox, "/projects/acme%2Fcases", token).json == {"message": "404 Project Not Found"}


def test_a_project_is_found_by_path_and_by_number(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_api")
    project = ask(sandbox, "/projects/acme%2Fcases", token).json
    assert project["visibility"] == "private"
    assert ask(sandbox, f"/projects/{project['id']}", token).json == project
    assert ask(sandbox, "/projects/octo-bob%2Fown-cases", token).status == 404
    assert ask(sandbox, "/projects/acme%2Fcases", None).status == 404
    assert ask(sandbox, "/projects/acme%2Fpublic-cases", None).status == 200


def test_projects_come_in_pages_and_can_be_searched(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_api")
    first = ask(sandbox, "/projects?membership=true&per_page=2", token)
    assert (first.headers["X-Total"], first.headers["X-Next-Page"], first.headers["X-Page"]) == (
        "5",
        "2",
        "1",
    )
    last = ask(sandbox, "/projects?per_page=2&page=3", token)
    assert (len(last.json), last.headers["X-Next-Page"]) == (1, "")
    found = ask(sandbox, "/projects?search=ABC", token).json
    assert [item["path_with_namespace"] for item in found] == ["assxxx/ABC"]


def test_a_group_under_single_sign_on_is_left_out_and_says_why_when_asked(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "read_api")
    assert "sso-corp" not in [
        item["path"] for item in ask(sandbox, "/groups?min_access_level=10", token).json
    ]
    for path in ("/groups/sso-corp", "/projects/sso-corp%2Fcases"):
        answer = ask(sandbox, path, token)
        assert answer.status == 400
        assert "Cannot find valid SSO session." in answer.json["message"]
    signed = mint(sandbox, "read_api", organizations=["sso-corp"])
    assert ask(sandbox, "/groups/sso-corp", signed).status == 200
    assert ask(sandbox, "/groups/nope", signed).json == {"message": "404 Group Not Found"}


def test_a_groups_projects_are_listed(sandbox: RunningSandbox) -> None:
    listed = ask(sandbox, "/groups/acme/projects", mint(sandbox, "read_api")).json
    assert [item["path"] for item in listed] == ["cases", "public-cases"]


def test_an_archive_is_a_zip_of_the_branch_asked_for(sandbox: RunningSandbox) -> None:
    path = "/projects/acme%2Fcases/repository/archive.zip?sha=dev"
    answer = ask(sandbox, path, mint(sandbox, "read_api"))
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist()[0].startswith("cases-dev-")
    missing = ask(sandbox, "/projects/acme%2Fcases/repository/archive.zip?sha=nope", mint(sandbox, "api"))
    assert missing.status == 404


def test_an_unknown_path_is_not_found_in_gitlabs_way(sandbox: RunningSandbox) -> None:
    answer = ask(sandbox, "/nope", mint(sandbox, "api"))
    assert (answer.status, answer.json) == (404, {"error": "404 Not Found"})
    assert answer.headers["RateLimit-Limit"]

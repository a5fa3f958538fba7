"""Bitbucket's REST resources: 403 is an authentic credential, 401 is not, and some things are gone."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.sandbox import RunningSandbox

EMAIL = "octo-alice@example.test"
READ = "read:repository:bitbucket"


def api_token(sandbox: RunningSandbox, *scopes: str) -> dict[str, str]:
    return basic(EMAIL, sandbox.mint("bitbucket", "octo-alice", "api_token", scopes).token)


def get(sandbox: RunningSandbox, path: str, shown: dict[str, str]) -> Answer:
    return call("GET", f"{sandbox.hosts['bitbucket'].api_url}{path}", headers=shown)


def test_a_missing_scope_is_told_with_what_is_required_and_granted(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user", api_token(sandbox, READ))
    assert answer.status == 403
    assert answer.json == {
        "type": "error",
        "error": {
            "message": "Your credentials lack one or more required privilege scopes.",
            "detail": {"required": ["read:user:bitbucket"], "granted": [READ]},
        },
    }
    assert answer.headers["X-Credential-Type"] == "api_token"


def test_a_user_is_identified_by_account_id_and_uuid(sandbox: RunningSandbox) -> None:
    facts = get(sandbox, "/user", api_token(sandbox, "read:user:bitbucket")).json
    assert facts["account_id"].startswith("557058:")
    assert facts["uuid"].startswith("{")
    assert facts["display_name"] == "Alice Octo"


def test_the_wrong_e_mail_the_wrong_token_and_the_wrong_scheme_are_unauthorized(
    sandbox: RunningSandbox,
) -> None:
    minted = sandbox.mint("bitbucket", "octo-alice", "api_token", ["read:user:bitbucket"])
    wrong = [
        basic("octo-bob@example.test", minted.token),
        basic("x-bitbucket-api-token-auth", minted.token),
        basic(EMAIL, "ATATT3wrong"),
        bearer(minted.token),
        {},
    ]
    for shown in wrong:
        answer = get(sandbox, "/user", shown)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Bitbucket.org HTTP"'
    text = "Token is invalid, expired, or not supported for this endpoint."
    assert get(sandbox, "/user", bearer(minted.token)).json["error"]["message"] == text
    assert get(sandbox, "/user", basic(EMAIL.upper(), minted.token)).status == 200


def test_an_access_token_is_authentic_but_nobody(sandbox: RunningSandbox) -> None:
    shown = bearer(sandbox.mint("bitbucket", "octo-alice", "access_token", ["repository", "account"]).token)
    answer = get(sandbox, "/user", shown)
    assert answer.status == 403
    assert answer.headers["X-Oauth-Scopes"] == "repository, account"
    assert get(sandbox, "/user/workspaces", shown).status == 403


def test_an_access_token_knows_its_workspace_and_no_other(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("bitbucket", "octo-alice", "access_token", ["repository"], resource="acme").token
    assert get(sandbox, "/workspaces/acme", bearer(token)).json["slug"] == "acme"
    assert get(sandbox, "/workspaces/assxxx", bearer(token)).status == 404
    names = [item["full_name"] for item in get(sandbox, "/repositories/acme", bearer(token)).json["values"]]
    assert names == ["acme/cases", "acme/public-cases"]


def test_an_app_password_is_refused_everywhere(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("bitbucket", "octo-alice", "app_password", ["repository", "account"]).token
    for shown in (basic("octo-alice", token), basic(EMAIL, token), bearer(token)):
        assert get(sandbox, "/user", shown).status == 401
        assert get(sandbox, "/repositories/acme/cases", shown).status == 401


@pytest.mark.parametrize(
    "path", ["/repositories", "/workspaces", "/user/permissions/workspaces", "/user/permissions/repositories"]
)
def test_what_was_removed_says_so_to_everybody(sandbox: RunningSandbox, path: str) -> None:
    answer = get(sandbox, path, {})
    assert answer.status == 410
    assert answer.json["error"]["message"] == "CHANGE-2770 - Functionality has been deprecated"
    assert "CHANGE-2770" in answer.json["error"]["data"]["announcement_url"]


def test_workspaces_come_without_a_name_and_in_pages_with_an_absolute_next(sandbox: RunningSandbox) -> None:
    shown = api_token(sandbox, "read:workspace:bitbucket")
    first = get(sandbox, "/user/workspaces?pagelen=3", shown).json
    assert first["values"][0]["type"] == "workspace_access"
    assert set(first["values"][0]["workspace"]) == {"type", "uuid", "slug", "links"}
    assert first["next"].startswith(sandbox.hosts["bitbucket"].api_url)
    second = call("GET", first["next"], headers=shown).json
    slugs = [item["workspace"]["slug"] for item in first["values"] + second["values"]]
    assert slugs == ["octo-alice", "acme", "assxxx", "sso-corp", "locked-corp"]
    assert "next" not in second


def test_a_page_length_that_cannot_be_is_refused(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user/workspaces?pagelen=101", api_token(sandbox, "read:workspace:bitbucket"))
    assert (answer.status, answer.json["error"]["message"]) == (400, "Invalid pagelen")


def test_a_permission_in_a_workspace(sandbox: RunningSandbox) -> None:
    shown = api_token(sandbox, "read:workspace:bitbucket")
    roles = [
        get(sandbox, f"/user/workspaces/{name}/permission", shown).json["permission"]
        for name in ("acme", "assxxx")
    ]
    assert roles == ["owner", "member"]
    assert get(sandbox, "/user/workspaces/nope/permission", shown).status == 404


def test_a_repository_is_shown_with_the_user_in_its_clone_address(sandbox: RunningSandbox) -> None:
    facts = get(sandbox, "/repositories/acme/cases", api_token(sandbox, READ)).json
    assert facts["is_private"] is True
    assert facts["links"]["clone"][0]["href"].startswith("http://octo-alice@127.0.0.1:")
    assert facts["mainbranch"]["name"] == "main"


def test_a_foreign_repository_and_a_missing_one_look_the_same(sandbox: RunningSandbox) -> None:
    shown = api_token(sandbox, READ)
    foreign, missing = (
        get(sandbox, f"/repositories/{name}", shown) for name in ("octo-bob/own-cases", "acme/nope")
    )
    assert foreign.status == missing.status == 404
    assert foreign.json == missing.json
    assert foreign.json["error"]["message"].startswith("You may not have access to this repository")


def test_writing_includes_reading_for_oauth_but_not_for_api_tokens(sandbox: RunningSandbox) -> None:
    oauth = sandbox.mint("bitbucket", "octo-alice", "oauth", ["repository:write"]).token
    assert get(sandbox, "/repositories/acme/cases", bearer(oauth)).status == 200
    assert (
        get(sandbox, "/repositories/acme/cases", api_token(sandbox, "write:repository:bitbucket")).status
        == 403
    )


def test_repositories_can_be_searched_by_name(sandbox: RunningSandbox) -> None:
    found = get(sandbox, '/repositories/acme?role=member&q=name~"public"', api_token(sandbox, READ)).json
    assert [item["full_name"] for item in found["values"]] == ["acme/public-cases"]


def test_a_query_that_is_no_query_is_refused(sandbox: RunningSandbox) -> None:
    shown = api_token(sandbox, READ)
    assert get(sandbox, '/repositories/acme?q=name~"a"+OR+name~""', shown).status == 400
    assert get(sandbox, '/repositories/acme?q=name~"a\\"+OR+name~\\""', shown).json["values"] == []


def test_a_token_of_one_workspace_knows_no_other(sandbox: RunningSandbox) -> None:
    text = sandbox.mint("bitbucket", "octo-alice", "access_token", ["repository"], resource="acme").token
    assert get(sandbox, "/repositories/acme", bearer(text)).status == 200
    assert get(sandbox, "/repositories/assxxx", bearer(text)).status == 404


def test_a_workspace_that_blocks_credentials_refuses_plainly(sandbox: RunningSandbox) -> None:
    shown = api_token(sandbox, READ)
    sandbox.control("bitbucket", "POST", "organizations/acme", {"blocked": True})
    for path in ("/repositories/acme", "/repositories/acme/cases"):
        assert get(sandbox, path, shown).status == 403
    assert get(sandbox, "/repositories/assxxx/ABC", shown).status == 200


def test_an_unknown_path_is_a_long_page_and_not_json(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/nope", {})
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert len(answer.body) > 20_000


def test_an_archive_lies_on_the_web_address(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["bitbucket"].web_url
    answer = call("GET", f"{web}/acme/cases/get/dev.zip", headers=api_token(sandbox, READ))
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist()[0].startswith("acme-cases-")
    assert call("GET", f"{web}/acme/cases/get/dev.tar.gz", headers=api_token(sandbox, READ)).status == 200
    assert call("GET", f"{web}/acme/cases/get/nope.zip", headers=api_token(sandbox, READ)).status == 404
    assert call("GET", f"{web}/acme/cases/get/main.zip").status == 404
    assert call("GET", f"{web}/acme/public-cases/get/main.zip").status == 200

"""Azure DevOps: organizations by path, tokens of one organization, and the page to sign in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.project.sandbox.test_git_http import clone
from tests.sandbox import RunningSandbox

HOST = "azure"
QUIET = {"X-TFS-FedAuthRedirect": "Suppress"}


def get(sandbox: RunningSandbox, path: str, token: str | None, *, loud: bool = False) -> Answer:
    shown = basic("", token) if token else {}
    return call("GET", f"{sandbox.hosts[HOST].web_url}{path}", headers=shown | ({} if loud else QUIET))


def mint(
    sandbox: RunningSandbox, *scopes: str, account: str = "octo-alice", resource: str | None = None
) -> str:
    return sandbox.mint(HOST, account, "personal_token", scopes, resource=resource).token


def test_the_product_knows_the_host_by_the_address_of_one_organization(sandbox: RunningSandbox) -> None:
    host = sandbox.hosts[HOST]
    assert host.web_url == host.api_url
    assert host.web_url.endswith("/acme")
    assert (host.client_id, host.client_secret, host.apps) == ("", "", [])


def test_a_token_lists_the_projects_of_its_organization(sandbox: RunningSandbox) -> None:
    token = mint(sandbox)
    assert len(token) == 84
    answer = get(sandbox, "/_apis/projects?api-version=7.1", token).json
    assert (answer["count"], [item["name"] for item in answer["value"]]) == (2, ["cases", "public-cases"])
    assert [item["name"] for item in get(sandbox, "/_apis/projects?$top=1&$skip=1", token).json["value"]] == [
        "public-cases"
    ]
    assert get(sandbox, "/_apis/projects/CASES", token).json["visibility"] == "private"


@pytest.mark.parametrize("resource", ["assxxx", "octo-alice"])
def test_a_token_of_another_organization_is_as_good_as_none(sandbox: RunningSandbox, resource: str) -> None:
    answer = get(sandbox, "/_apis/projects", mint(sandbox, resource=resource))
    assert (answer.status, answer.json["typeKey"]) == (401, "UnauthorizedRequestException")


def test_a_dead_token_leads_to_the_page_to_sign_in_unless_a_plain_answer_is_asked_for(
    sandbox: RunningSandbox,
) -> None:
    for token in (None, "x" * 84):
        page = get(sandbox, "/_apis/projects", token, loud=True)
        assert (page.status, page.headers.get_content_type()) == (203, "text/html")
        assert "/_signin" in page.headers["X-TFS-FedAuthRedirect"]
        assert get(sandbox, "/_apis/projects", token).status == 401
    assert get(sandbox, "/_apis/projects", None).headers["X-VSS-ResourceTenant"]


def test_an_expired_token_is_said_to_be(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint(HOST, "octo-alice", "personal_token", ["vso.code"])
    sandbox.control(HOST, "POST", f"tokens/{minted.id}", {"expires_in": 0})
    answer = get(sandbox, "/_apis/projects", minted.token)
    assert (answer.status, answer.json["message"]) == (
        401,
        "Access Denied: The Personal Access Token used has expired.",
    )
    assert "Personal%20Access%20Token" in answer.headers["X-TFS-ServiceError"]


def test_a_token_is_shown_as_basic_only(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts[HOST].web_url}/_apis/projects"
    assert call("GET", url, headers=bearer(mint(sandbox))).status == 203


def test_a_repository_lies_in_a_project_of_its_name(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "vso.code")
    found = get(sandbox, "/cases/_apis/git/repositories/Cases", token).json
    assert (found["name"], found["project"]["name"], found["defaultBranch"]) == (
        "cases",
        "cases",
        "refs/heads/main",
    )
    assert "://acme@127.0.0.1" in found["remoteUrl"]
    assert found["webUrl"] == f"{sandbox.hosts[HOST].web_url}/cases/_git/cases"
    listed = get(sandbox, "/_apis/git/repositories", token).json["value"]
    assert [item["name"] for item in listed] == ["cases", "public-cases"]
    assert get(sandbox, "/cases/_apis/git/repositories", token).json["count"] == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/nope/_apis/git/repositories/nope", "ProjectDoesNotExistWithNameException"),
        ("/cases/_apis/git/repositories/nope", "GitRepositoryNotFoundException"),
        ("/_apis/projects/nope", "ProjectDoesNotExistWithNameException"),
    ],
)
def test_what_is_missing_is_named(sandbox: RunningSandbox, path: str, kind: str) -> None:
    answer = get(sandbox, path, mint(sandbox, "vso.code"))
    assert (answer.status, answer.json["typeKey"]) == (404, kind)


def test_code_is_closed_to_a_token_without_the_scope(sandbox: RunningSandbox, tmp_path: Path) -> None:
    token = mint(sandbox, "vso.work")
    assert get(sandbox, "/cases/_apis/git/repositories/cases", token).status == 403
    assert get(sandbox, "/_apis/git/repositories", token).status == 403
    assert clone(sandbox, tmp_path, HOST, "cases/_git/cases", "any", token).returncode != 0


def test_a_public_project_is_shown_to_strangers(sandbox: RunningSandbox, tmp_path: Path) -> None:
    assert get(sandbox, "/public-cases/_apis/git/repositories/public-cases", None).status == 200
    assert get(sandbox, "/cases/_apis/git/repositories/cases", None).status == 404
    assert clone(sandbox, tmp_path, HOST, "public-cases/_git/public-cases").returncode == 0


@pytest.mark.parametrize(
    ("repository", "works"),
    [
        ("cases/_git/cases", True),
        ("_git/cases", True),
        ("CASES/_git/cases", True),
        ("cases/_git/public-cases", False),
        ("cases", False),
    ],
)
def test_git_takes_any_name_beside_the_token(
    sandbox: RunningSandbox, tmp_path: Path, repository: str, works: bool
) -> None:
    token = mint(sandbox, "vso.code")
    assert (clone(sandbox, tmp_path, HOST, repository, "any", token).returncode == 0) is works


def test_a_person_who_is_no_member_gets_nothing(sandbox: RunningSandbox, tmp_path: Path) -> None:
    token = mint(sandbox, "vso.code", account="octo-bob", resource="assxxx")
    answer = call(
        "GET",
        sandbox.hosts[HOST].web_url.replace("/acme", "/assxxx/ABC/_apis/git/repositories/ABC"),
        headers=basic("", token),
    )
    assert answer.status == 404


def test_a_spent_allowance_says_when_to_come_back(sandbox: RunningSandbox) -> None:
    sandbox.control(HOST, "POST", "faults", {"quota": "primary"})
    answer = get(sandbox, "/_apis/projects", None)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")


def test_the_page_for_tokens_makes_one_for_the_organization(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts[HOST].web_url}/_usersSettings/tokens"
    assert "AZDO" in call("POST", url, form={"account": "octo-alice", "scopes": "vso.code"}).text
    assert sandbox.control(HOST, "GET", "grants")["grants"][0]["resource"] == "acme"

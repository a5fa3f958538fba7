"""Azure DevOps' repositories: addresses with and without an organization, and a list without pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, TokenRejected
from credentials.providers.azure_devops import AzureDevOps
from credentials.providers.base import Provider
from credentials.providers.facts import RepositoryPlace
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Server, json_reply
from tests.sandbox import RunningSandbox

NAME = "azure_devops"
MINE = login(Kind.PERSONAL_TOKEN)


def place(address: str) -> RepositoryPlace:
    found = AzureDevOps.place(tuple(address.split("/")))
    assert found is not None
    return found


def repository(name: str = "cases", project: str = "cases", **facts: object) -> dict[str, object]:
    return {
        "name": name,
        "project": {"name": project, "visibility": "private"},
        "defaultBranch": "refs/heads/main",
        **facts,
    }


def bare(provider: Provider, origin: str) -> Provider:
    return type(provider)(
        host=replace(provider.host, web_url=origin, api_url=origin), door=provider.door, now=provider.now
    )


@pytest.mark.parametrize(
    ("address", "path", "owner"),
    [
        ("cases/_git/cases", "cases/_git/cases", "cases"),
        ("My Cases/_git/library", "My Cases/_git/library", "My Cases"),
        ("_git/cases", "cases/_git/cases", "cases"),
        ("cases/_git/cases/pullrequest/7", "cases/_git/cases", "cases"),
        ("acme/web/_git/cases", "acme/web/_git/cases", "acme"),
        ("acme/cases/_git/Cases", "acme/_git/Cases", "acme"),
        ("acme/_git/cases", "acme/_git/cases", "acme"),
    ],
)
def test_an_address_names_project_and_repository(address: str, path: str, owner: str) -> None:
    found = place(address)
    assert (found.path, found.owner, found.organizations) == (path, owner, (owner,))


@pytest.mark.parametrize(
    "address",
    ["", "cases", "cases/_git", "acme/cases", "_usersSettings/tokens", "cases/_build/results", "_git",
     "a/b/c/_git/d", "cases/_git/..", "../_git/cases", "_apis/_git/cases", "cases/_git/_full", "a?b/_git/c"],
)  # fmt: skip
def test_what_can_be_no_repository_is_none(address: str) -> None:
    assert AzureDevOps.place(tuple(address.split("/"))) is None


def test_git_finds_it_where_the_address_says() -> None:
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, NAME)
    assert provider.clone_url(place("My Cases/_git/a")) == f"{server.url}/My%20Cases/_git/a"
    assert provider.clone_url(place("_git/cases")) == f"{server.url}/cases/_git/cases"


def test_the_address_for_git_never_comes_from_the_answer() -> None:
    reply = json_reply(repository(remoteUrl="https://evil.example/_git/cases", webUrl="https://evil.example"))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, NAME).repository(place("cases/_git/cases"), login=MINE)
    assert (found.path, found.clone_url) == ("cases/_git/cases", f"{server.url}/cases/_git/cases")
    assert (found.private, found.default_branch, found.reads_contents) == (True, "main", True)
    assert found.evidence == "GET /api/cases/_apis/git/repositories/cases 200"


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("acme/web/_git/cases", "/acme/web/_apis/git/repositories/cases"),
        ("acme/_git/cases", "/acme/cases/_apis/git/repositories/cases"),
        ("acme/cases/_git/cases", "/acme/cases/_apis/git/repositories/cases"),
    ],
)
def test_below_a_host_without_an_organization_the_address_names_it(address: str, asked: str) -> None:
    project = asked.split("/")[2]
    with Server(lambda seen: json_reply(repository(project=project))) as server:
        provider = bare(provider_at(server, NAME), server.url)
        found = provider.repository(place(address), login=MINE)
    assert server.seen[0].path.partition("?")[0] == asked
    assert (found.path, found.evidence) == (place(address).path, f"GET {asked} 200")


@pytest.mark.parametrize(
    ("visibility", "private"), [("private", True), ("public", False), ("organization", True), (None, None)]
)
def test_only_public_projects_are_public(visibility: object, private: bool | None) -> None:
    reply = json_reply({"name": "cases", "project": {"name": "cases", "visibility": visibility}})
    with Server(lambda seen: reply) as server:
        found = provider_at(server, NAME).repository(place("_git/cases"), login=MINE)
    assert found.private is private


def test_a_disabled_repository_is_left_to_git() -> None:
    with Server(lambda seen: json_reply(repository(isDisabled=True))) as server:
        found = provider_at(server, NAME).repository(place("_git/cases"), login=MINE)
    assert found.reads_contents is None


@pytest.mark.parametrize("name", ["", "..", "_git", "a/b", 7, None])
def test_a_repository_without_a_usable_name_is_no_answer(name: object) -> None:
    reply = json_reply({"name": name, "project": {"name": "cases"}})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, NAME).repository(place("_git/cases"), login=MINE)


def test_a_list_without_pages_is_cut_into_pages() -> None:
    values = [repository(f"r{number:03}") for number in range(120)]
    with Server(lambda seen: json_reply({"value": [*values, 7, {}]})) as server:
        provider = provider_at(server, NAME)
        seen: list[str] = []
        cursor = ""
        for _page in range(3):
            page = provider.repositories(MINE, cursor=cursor)
            assert page is not None
            seen += [fact.path for fact in page.repositories]
            cursor = page.next_cursor
        narrow = provider.repositories(MINE, query="R11", cursor="nonsense")
    assert (len(seen), len(set(seen)), cursor) == (120, 120, "")
    assert narrow is not None
    assert len(narrow.repositories) == 10
    assert narrow.next_cursor == ""


# --- At the sandbox -----------------------------------------------------------------------------------


def test_what_a_token_and_a_stranger_are_shown(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "azure")
    mine = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",))
    found = provider.repository(place("_git/cases"), login=mine)
    assert (found.private, found.default_branch) == (True, "main")
    assert provider.repository(place("_git/public-cases"), login=None).private is False
    for address, who in (("_git/cases", None), ("_git/nope", mine), ("cases/_git/nope", mine)):
        with pytest.raises(AccessRefused):
            provider.repository(place(address), login=who)
    listed = provider.repositories(mine, query="public")
    assert listed is not None
    assert [fact.path for fact in listed.repositories] == ["public-cases/_git/public-cases"]


def test_a_dead_token_is_rejected_here_too_and_a_narrow_one_is_not(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "azure")
    with pytest.raises(TokenRejected):
        provider.repository(place("_git/cases"), login=MINE)
    narrow = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.work",))
    with pytest.raises(ProviderAnswerUnexpected):
        provider.repository(place("_git/cases"), login=narrow)

"""Bitbucket Data Center's repositories: addresses as copied, public by project, and pages by a start."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, TokenRejected
from credentials.providers.bitbucket_server import BitbucketServer
from credentials.providers.facts import RepositoryPlace
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Server, json_reply
from tests.sandbox import RunningSandbox

NAME, SLUG = "bitbucket_server", "bitbucket-server"
MINE = login(Kind.PERSONAL_TOKEN)


def place(address: str) -> RepositoryPlace:
    found = BitbucketServer.place(tuple(address.split("/")))
    assert found is not None
    return found


def repository(**facts: object) -> dict[str, object]:
    project = {"key": "ACME", "name": "Acme", "public": False, "type": "NORMAL"}
    return {"slug": "cases", "name": "Cases", "public": False, "project": project, **facts}


@pytest.mark.parametrize(
    ("address", "path", "organizations"),
    [
        ("scm/acme/cases", "acme/cases", ("acme",)),
        ("scm/ACME/Cases.v2", "ACME/Cases.v2", ("ACME",)),
        ("projects/ACME/repos/cases", "ACME/cases", ("ACME",)),
        ("projects/ACME/repos/cases/browse/docs/a.md", "ACME/cases", ("ACME",)),
        ("projects/ACME/repos/cases/pull-requests/7/overview", "ACME/cases", ("ACME",)),
        ("users/octo-alice/repos/cases/browse", "~octo-alice/cases", ()),
        ("scm/~octo-alice/cases", "~octo-alice/cases", ()),
        ("projects/~octo-alice/repos/cases", "~octo-alice/cases", ()),
        ("ACME/cases", "ACME/cases", ("ACME",)),
        ("~octo-alice/cases", "~octo-alice/cases", ()),
    ],
)
def test_an_address_names_project_and_repository(
    address: str, path: str, organizations: tuple[str, ...]
) -> None:
    found = place(address)
    assert (found.path, found.owner, found.organizations) == (path, path.partition("/")[0], organizations)


@pytest.mark.parametrize(
    "address",
    ["", "scm", "scm/acme", "projects/ACME", "projects/ACME/repos", "projects/ACME/settings/permissions",
     "users/octo-alice", "plugins/servlet/access-tokens/manage", "login/x", "acme/cases/browse", "dashboard/all",
     "scm/acme/..", "scm/../cases", "scm/a b/cases", "scm/acme/a%2Fb", "scm/sso-corp/cases", "scm/~/cases"],
)  # fmt: skip
def test_what_can_be_no_repository_is_none(address: str) -> None:
    assert BitbucketServer.place(tuple(address.split("/"))) is None


@pytest.mark.parametrize("address", ["projects/ACME/repos/cases", "scm/acme/cases", "ACME/cases"])
def test_git_finds_it_below_scm_with_the_key_in_small_letters(address: str) -> None:
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, NAME)
    assert provider.clone_url(place(address)) == f"{server.url}/scm/acme/cases.git"
    assert place(address).key == "acme/cases"


def test_the_address_for_git_never_comes_from_the_answer() -> None:
    links = {"clone": [{"name": "http", "href": "https://evil.example/scm/acme/cases.git"}]}
    with Server(lambda seen: json_reply(repository(links=links))) as server:
        found = provider_at(server, NAME).repository(place("scm/acme/cases"), login=MINE)
    assert (found.path, found.clone_url) == ("ACME/cases", f"{server.url}/scm/acme/cases.git")
    assert (found.private, found.default_branch, found.reads_contents) == (True, "", True)
    assert found.evidence == "GET /api/projects/acme/repos/cases 200"


@pytest.mark.parametrize(
    ("own", "project", "private"),
    [(False, False, True), (True, False, False), (False, True, False), (None, True, False), (None, False, None),
     ("yes", None, None)],
)  # fmt: skip
def test_a_repository_is_public_by_itself_or_by_its_project(
    own: object, project: object, private: bool | None
) -> None:
    answer = repository(public=own, project={"key": "ACME", "public": project})
    with Server(lambda seen: json_reply(answer)) as server:
        assert provider_at(server, NAME).repository(place("ACME/cases"), login=MINE).private is private


def test_whether_git_lets_a_robots_token_in_only_git_can_tell() -> None:
    with Server(lambda seen: json_reply(repository())) as server:
        found = provider_at(server, NAME).repository(place("ACME/cases"), login=login(Kind.ACCESS_TOKEN))
    assert found.reads_contents is None


@pytest.mark.parametrize("slug", ["", "..", "a b", "a/b", 7, None])
def test_a_repository_without_a_usable_name_is_no_answer(slug: object) -> None:
    reply = json_reply(repository(slug=slug))
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, NAME).repository(place("ACME/cases"), login=MINE)


def test_a_repository_that_has_moved_is_said_to_have() -> None:
    with Server(lambda seen: json_reply(repository(slug="newer"))) as server:
        found = provider_at(server, NAME).repository(place("ACME/cases"), login=MINE)
    assert (found.path, found.evidence) == ("ACME/newer", "GET /api/projects/ACME/repos/cases 200: moved")


@pytest.mark.parametrize(
    ("cursor", "start"), [("", "0"), ("50", "50"), ("-1", "0"), ("5;x", "0"), ("٣", "0"), ("9" * 12, "0")]
)
def test_a_page_begins_where_the_last_one_said(cursor: str, start: str) -> None:
    reply = json_reply(
        {"values": [repository(), {}, 7], "isLastPage": False, "start": 0, "nextPageStart": 51}
    )
    with Server(lambda seen: reply) as server:
        page = provider_at(server, NAME).repositories(MINE, query=" Ca\nses ", cursor=cursor)
    asked = parse_qs(urlsplit(server.seen[0].path).query)
    assert (asked["start"], asked["name"], asked["permission"]) == ([start], ["Cases"], ["REPO_READ"])
    assert page is not None
    assert ([fact.path for fact in page.repositories], page.next_cursor) == (["ACME/cases"], "51")


@pytest.mark.parametrize(
    "last",
    [{"isLastPage": True, "nextPageStart": 5}, {}, {"isLastPage": False, "nextPageStart": None},
     {"isLastPage": False, "nextPageStart": "5"}, {"isLastPage": False, "start": 5, "nextPageStart": 5},
     {"isLastPage": False, "nextPageStart": True}],
)  # fmt: skip
def test_there_is_a_next_page_only_if_it_is_said_and_further_on(last: dict[str, object]) -> None:
    with Server(lambda seen: json_reply({"values": [], **last})) as server:
        page = provider_at(server, NAME).repositories(MINE)
    assert page is not None
    assert page.next_cursor == ""


# --- At the sandbox -----------------------------------------------------------------------------------


def test_what_a_personal_token_and_a_stranger_are_shown(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, SLUG)
    mine = login_in(sandbox, SLUG, Kind.PERSONAL_TOKEN)
    assert provider.repository(place("scm/acme/cases"), login=mine).private is True
    assert provider.repository(place("users/octo-alice/repos/private-cases"), login=mine).private is True
    assert provider.repository(place("acme/public-cases"), login=None).private is False
    refused = (("acme/cases", None), ("scm/~octo-bob/own-cases", mine), ("acme/nope", mine), ("nope/x", mine))
    for address, who in refused:
        with pytest.raises(AccessRefused):
            provider.repository(place(address), login=who)


def test_a_dead_token_is_rejected_here_too(sandbox: RunningSandbox) -> None:
    with pytest.raises(TokenRejected):
        provider_in(sandbox, SLUG).repository(place("acme/cases"), login=MINE)


def test_the_list_holds_what_the_token_reaches(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, SLUG)
    page = provider.repositories(login_in(sandbox, SLUG, Kind.PERSONAL_TOKEN), query="abc")
    assert page is not None
    assert [fact.path for fact in page.repositories] == ["ASSXXX/abc"]
    robots = login_in(sandbox, SLUG, Kind.ACCESS_TOKEN, resource="acme")
    all_of_acme = provider.repositories(robots)
    assert all_of_acme is not None
    assert {fact.path for fact in all_of_acme.repositories} == {"ACME/cases", "ACME/public-cases"}

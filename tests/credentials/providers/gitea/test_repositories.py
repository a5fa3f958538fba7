"""Gitea's repositories: two segments, and a search that keeps to what is one's own."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ScopeMissing, TokenRejected
from credentials.providers.facts import RepositoryPlace
from credentials.providers.gitea import Gitea
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.sandbox import RunningSandbox

MINE = login(Kind.PERSONAL_TOKEN)
LACKING = json_reply({"message": "token does not have at least one of required scope(s): [read:user]"}, 403)


def place(address: str) -> RepositoryPlace:
    found = Gitea.place(tuple(address.split("/")))
    assert found is not None
    return found


def repository(full_name: str, **facts: object) -> dict[str, object]:
    pull = {"admin": False, "push": False, "pull": True}
    return {
        "full_name": full_name,
        "private": True,
        "default_branch": "main",
        "permissions": pull,
        **facts,
    }


def asked(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("acme/cases", "acme/cases"),
        ("Acme/Cases.v2", "Acme/Cases.v2"),
        ("acme/cases/src/branch/main/docs", "acme/cases"),
        ("acme/cases/pulls/7", "acme/cases"),
        ("acme/user", "acme/user"),
    ],
)
def test_an_address_names_the_repository_by_its_first_two_segments(address: str, path: str) -> None:
    found = place(address)
    assert (found.path, found.owner) == (path, path.partition("/")[0])
    assert found.organizations == (found.owner,)


@pytest.mark.parametrize(
    "address",
    ["", "acme", "user/settings/applications", "explore/repos", "org/acme/teams", "login/oauth/authorize",
     "Admin/users", "api/v1", "acme/-/packages", "acme/..", "../acme", "acme/a b", "a@b/c"],
)  # fmt: skip
def test_what_can_be_no_repository_is_none(address: str) -> None:
    assert Gitea.place(tuple(address.split("/"))) is None


def test_the_address_for_git_never_comes_from_the_answer() -> None:
    reply = json_reply(repository("Acme/cases", clone_url="https://evil.example/acme/cases.git"))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "gitea").repository(place("acme/cases"), login=MINE)
    assert (found.path, found.clone_url) == ("Acme/cases", f"{server.url}/Acme/cases.git")
    assert (found.private, found.default_branch, found.reads_contents) == (True, "main", True)
    assert found.evidence == "GET /api/repos/acme/cases 200"


def test_a_renamed_repository_is_found_under_its_new_name() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path == "/api/repos/acme/old":
            return json_reply({}, 307, Location="/api/repos/acme/new")
        return json_reply(repository("acme/new"))

    with Server(script) as server:
        found = provider_at(server, "gitea").repository(place("acme/old"), login=MINE)
    assert (found.path, found.evidence) == ("acme/new", "GET /api/repos/acme/new 200: moved")


@pytest.mark.parametrize(
    ("permissions", "reads"),
    [({"pull": True}, True), ({"pull": False}, None), (None, True), ({"pull": "no"}, True)],
)
def test_a_member_who_may_not_pull_is_left_to_git(permissions: object, reads: bool | None) -> None:
    reply = json_reply(repository("acme/cases", permissions=permissions))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "gitea").repository(place("acme/cases"), login=MINE)
    assert found.reads_contents is reads


@pytest.mark.parametrize("full_name", ["", "acme", "acme/cases/src", "../x", "a b/c", 7, None])
def test_a_repository_without_a_usable_name_is_no_answer(full_name: object) -> None:
    reply = json_reply({"full_name": full_name, "private": True})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, "gitea").repository(place("acme/cases"), login=MINE)


# --- At the sandbox ---------------------------------------------------------------------------------------


def test_the_scope_of_the_help_page_shows_a_private_repository(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "gitea")
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository",))
    assert provider.repository(place("acme/cases"), login=given).private is True
    assert provider.repository(place("acme/public-cases"), login=None).private is False
    for address, who in (("acme/cases", None), ("octo-bob/own-cases", given), ("acme/nothing", given)):
        with pytest.raises(AccessRefused):
            provider.repository(place(address), login=who)


def test_a_token_for_public_data_finds_no_private_repository(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository", "public-only"))
    with pytest.raises(AccessRefused):
        provider_in(sandbox, "gitea").repository(place("acme/cases"), login=given)


def test_a_missing_scope_is_named(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:user",))
    provider = provider_in(sandbox, "gitea")
    with pytest.raises(ScopeMissing) as caught:
        provider.repository(place("acme/cases"), login=given)
    assert caught.value.required == ("read:repository",)
    assert provider.repositories(given) is None


def test_a_dead_token_is_rejected_here_too(sandbox: RunningSandbox) -> None:
    with pytest.raises(TokenRejected):
        provider_in(sandbox, "gitea").repository(place("acme/cases"), login=MINE)


def test_the_list_keeps_to_what_the_account_owns_or_contributes_to(sandbox: RunningSandbox) -> None:
    sandbox.control("gitea", "POST", "organizations/acme", {"members": {"octo-alice": "none"}})
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository", "read:user"))
    page = provider_in(sandbox, "gitea").repositories(given)
    assert page is not None
    assert {fact.path for fact in page.repositories} >= {"octo-alice/private-cases", "assxxx/ABC"}
    assert "acme/public-cases" not in {fact.path for fact in page.repositories}
    narrow = provider_in(sandbox, "gitea").repositories(given, query="abc")
    assert narrow is not None
    assert [fact.path for fact in narrow.repositories] == ["assxxx/ABC"]


def test_a_token_that_may_not_name_its_account_lists_private_repositories(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository",))
    page = provider_in(sandbox, "gitea").repositories(given)
    assert page is not None
    assert {fact.private for fact in page.repositories} == {True}
    assert {fact.path for fact in page.repositories} >= {"octo-alice/private-cases", "acme/cases"}


# --- Lists, page by page ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "count", "headers", "cursor"),
    [
        ("1", 50, {"Link": '<https://evil.example/>; rel="next"'}, "2"),
        ("1", 20, {"Link": '<https://x/>; rel="next"', "X-Total-Count": "21"}, "2"),
        ("2", 50, {"Link": '<https://x/>; rel="prev"', "X-Total-Count": "999"}, ""),
        ("1", 50, {"X-Total-Count": "51"}, "2"),
        ("2", 1, {"X-Total-Count": "51"}, ""),
        ("1", 50, {"X-Total-Count": "many"}, "2"),
        ("1", 49, {}, ""),
        ("9", 0, {"X-Total-Count": "9999"}, ""),
    ],
)
def test_whether_there_is_a_next_page_is_read_out_of_what_the_server_sends(
    page: str, count: int, headers: dict[str, str], cursor: str
) -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        reply = json_reply({"ok": True, "data": [repository(f"a/r{number}") for number in range(count)]})
        return Reply(headers={**reply.headers, **headers}, body=reply.body)

    with Server(script) as server:
        found = provider_at(server, "gitea").repositories(MINE, query=" a&b ", cursor=page)
    assert found is not None
    assert (len(found.repositories), found.next_cursor) == (count, cursor)
    assert asked(server.seen[1]) == {"limit": "50", "page": page, "q": "a&b", "uid": "7"}


def test_without_an_account_the_whole_host_is_never_listed() -> None:
    def script(seen: Seen) -> Reply:
        return LACKING if seen.path.startswith("/api/user") else json_reply({"ok": True, "data": []})

    with Server(script) as server:
        provider_at(server, "gitea").repositories(MINE)
    assert asked(server.seen[1])["is_private"] == "true"


def test_what_is_no_repository_is_left_out_of_a_list() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/user"):
            return json_reply({"id": 7})
        return json_reply({"ok": True, "data": [repository("acme/cases"), {"full_name": "../x"}, 7, None]})

    with Server(script) as server:
        found = provider_at(server, "gitea").repositories(MINE)
    assert found is not None
    assert [fact.path for fact in found.repositories] == ["acme/cases"]

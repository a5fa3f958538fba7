"""Bitbucket's repositories: two segments, one workspace after the other, and a query nobody breaks out of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ProviderUnreachable, ScopeMissing
from credentials.providers.bitbucket import Bitbucket
from credentials.providers.bitbucket.repositories import quoted
from credentials.providers.facts import RepositoryPlace
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

ALL_SCOPES = ("read:repository:bitbucket", "read:user:bitbucket", "read:workspace:bitbucket")
READ = ("read:repository:bitbucket",)
FORBIDDEN = json_reply({"type": "error", "error": {"message": "Forbidden"}}, 403)
LACKING = json_reply({"type": "error", "error": {"detail": {"required": ["repository"], "granted": []}}}, 403)


def place(address: str) -> RepositoryPlace:
    found = Bitbucket.place(tuple(address.split("/")))
    assert found is not None
    return found


def repository(full_name: str, **facts: object) -> dict[str, object]:
    return {"full_name": full_name, "is_private": True, "mainbranch": {"name": "main"}, **facts}


def asked(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("acme/cases", "acme/cases"),
        ("Acme/Cases.v2", "Acme/Cases.v2"),
        ("acme/cases/src/main/docs", "acme/cases"),
        ("acme/cases/pull-requests/7", "acme/cases"),
        ("acme/workspace", "acme/workspace"),
        ("acme/workspace/src/main", "acme/workspace"),
    ],
)
def test_an_address_names_the_repository_by_its_first_two_segments(address: str, path: str) -> None:
    found = place(address)
    assert (found.path, found.owner) == (path, path.partition("/")[0])
    assert found.organizations == (found.owner,)


@pytest.mark.parametrize(
    "address",
    ["", "acme", "acme/workspace/projects/CASES", "acme/workspace/overview", "account/settings", "dashboard/overview",
     "Account/settings", "repo/create", "site/oauth2/authorize", "snippets/acme/x1", "acme/..", "../acme",
     "acme/a b", "{4f2d}/cases"],
)  # fmt: skip
def test_what_can_be_no_repository_is_none(address: str) -> None:
    assert Bitbucket.place(tuple(address.split("/"))) is None


def test_the_address_for_git_never_comes_from_the_answer() -> None:
    clone = [{"name": "https", "href": "https://octo-alice@evil.example/acme/cases.git"}]
    reply = json_reply(repository("Acme/cases", links={"clone": clone}))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "bitbucket").repository(place("acme/cases"), login=login(Kind.OAUTH))
    assert (found.path, found.clone_url) == ("Acme/cases", f"{server.url}/Acme/cases.git")
    assert (found.private, found.default_branch, found.reads_contents) == (True, "main", True)
    assert found.evidence == "GET /api/repositories/acme/cases 200"


def test_a_repository_under_another_name_is_said_to_have_moved() -> None:
    with Server(lambda seen: json_reply(repository("acme/new"))) as server:
        found = provider_at(server, "bitbucket").repository(place("acme/old"), login=login(Kind.OAUTH))
    assert (found.path, found.evidence) == ("acme/new", "GET /api/repositories/acme/old 200: moved")


@pytest.mark.parametrize("full_name", ["", "acme", "acme/cases/src", "../x", "a b/c", 7, None])
def test_a_repository_without_a_usable_name_is_no_answer(full_name: object) -> None:
    reply = json_reply({"full_name": full_name, "is_private": True})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, "bitbucket").repository(place("acme/cases"), login=login(Kind.OAUTH))


@pytest.mark.parametrize("private", [None, "yes", 1])
def test_whether_it_is_private_is_unknown_where_it_is_not_said(private: object) -> None:
    reply = json_reply(repository("acme/cases", is_private=private, mainbranch=None))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "bitbucket").repository(place("acme/cases"), login=login(Kind.OAUTH))
    assert (found.private, found.default_branch) == (None, "")


def test_without_an_email_address_nothing_is_asked() -> None:
    nobody = replace(login(Kind.API_TOKEN), email="")
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, "bitbucket")
        for call in (
            lambda: provider.repository(place("acme/cases"), login=nobody),
            lambda: provider.repositories(nobody),
        ):
            with pytest.raises(AccessRefused) as caught:
                call()
            assert caught.value.verdict_code == VerdictCode.EMAIL_REQUIRED
        fact = provider.organization(nobody, "acme")
    assert fact is not None
    assert fact.evidence == "nothing was asked"
    assert server.seen == []


# --- At the sandbox ---------------------------------------------------------------------------------------


def test_the_scope_of_the_help_page_shows_a_private_repository(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "bitbucket")
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, READ)
    found = provider.repository(place("acme/cases"), login=given)
    assert (found.path, found.private, found.reads_contents) == ("acme/cases", True, True)
    with pytest.raises(AccessRefused):
        provider.repository(place("acme/cases"), login=None)
    with pytest.raises(AccessRefused):
        provider.repository(place("octo-bob/own-cases"), login=given)
    assert provider.repository(place("acme/public-cases"), login=None).private is False


def test_a_missing_scope_is_named(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ("read:user:bitbucket",))
    with pytest.raises(ScopeMissing) as caught:
        provider_in(sandbox, "bitbucket").repository(place("acme/cases"), login=given)
    assert caught.value.required == READ


@pytest.mark.parametrize("resource", ["acme/cases", "acme"])
def test_an_access_token_reaches_its_own_place_and_nothing_else(
    sandbox: RunningSandbox, resource: str
) -> None:
    given = login_in(sandbox, "bitbucket", Kind.ACCESS_TOKEN, ("repository",), resource=resource)
    provider = provider_in(sandbox, "bitbucket")
    assert provider.repository(place("acme/cases"), login=given).private is True
    with pytest.raises(AccessRefused) as caught:
        provider.repository(place("assxxx/ABC"), login=given)
    assert (caught.value.status, caught.value.verdict_code) == (404, VerdictCode.NOT_FOUND_OR_NO_ACCESS)
    assert provider.repositories(given) is None


def test_a_blocking_workspace_refuses_and_its_repositories_are_left_out(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ALL_SCOPES)
    provider = provider_in(sandbox, "bitbucket")
    sandbox.control("bitbucket", "POST", "organizations/acme", {"blocked": True})
    with pytest.raises(AccessRefused) as caught:
        provider.repository(place("acme/cases"), login=given)
    assert caught.value.status == 403
    page = provider.repositories(given)
    assert page is not None
    paths = {fact.path for fact in page.repositories}
    assert paths >= {"octo-alice/private-cases", "assxxx/ABC"}
    assert not any(path.startswith("acme/") for path in paths)


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("public", ["acme/public-cases"]),
        ("PRIVATE", ["octo-alice/private-cases"]),
        ('x" OR name ~ "', []),
        ("\\", []),
        ('"', []),
    ],
)
def test_a_query_stays_one_text_whatever_is_typed(
    sandbox: RunningSandbox, query: str, paths: list[str]
) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ALL_SCOPES)
    page = provider_in(sandbox, "bitbucket").repositories(given, query=query)
    assert page is not None
    assert [fact.path for fact in page.repositories] == paths
    assert page.next_cursor == ""


def test_without_the_workspace_scope_nothing_can_be_listed(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, READ)
    assert provider_in(sandbox, "bitbucket").repositories(given) is None


def test_quotation_marks_and_backslashes_are_escaped() -> None:
    assert quoted(r'a"b\c') == r'"a\"b\\c"'


# --- Lists, workspace by workspace ------------------------------------------------------------------------


def workspaces(lists: Mapping[str, list[Reply]], seen: Seen) -> Reply:
    """Workspaces in the order of ``lists``, each with the given pages."""
    if seen.path.startswith("/api/user/workspaces"):
        return json_reply({"values": [{"workspace": {"slug": slug}} for slug in lists]})
    slug = urlsplit(seen.path).path.rpartition("/")[2]
    return lists[slug][int(asked(seen)["page"]) - 1]


def page_with(slug: str, count: int, *, has_more: bool = False) -> Reply:
    values = [repository(f"{slug}/r{number}") for number in range(count)]
    more = {"next": "https://evil.example/steal"} if has_more else {}
    return json_reply({"values": values} | more)


def test_a_cursor_goes_on_in_the_middle_of_a_workspace() -> None:
    lists = {
        "a": [page_with("a", 1)],
        "b": [page_with("b", 50, has_more=True), page_with("b", 2)],
        "c": [page_with("c", 3)],
    }
    with Server(lambda seen: workspaces(lists, seen)) as server:
        provider = provider_at(server, "bitbucket")
        first = provider.repositories(login(Kind.OAUTH))
        assert first is not None
        assert (len(first.repositories), first.next_cursor) == (51, "1.2")
        second = provider.repositories(login(Kind.OAUTH), cursor=first.next_cursor)
    assert second is not None
    assert [fact.path for fact in second.repositories] == ["b/r0", "b/r1", "c/r0", "c/r1", "c/r2"]
    assert second.next_cursor == ""


def test_many_empty_workspaces_are_asked_a_few_at_a_time() -> None:
    lists = {f"w{number}": [page_with("w", 0)] for number in range(12)}
    with Server(lambda seen: workspaces(lists, seen)) as server:
        found = provider_at(server, "bitbucket").repositories(login(Kind.OAUTH))
    assert found is not None
    assert (found.repositories, found.next_cursor) == ((), "10.1")
    assert len(server.seen) == 11


@pytest.mark.parametrize("cursor", ["nonsense", "1", "1.0", "-1.1", "1.1.1", "٣.1", "0.1\n", "9999.1"])
def test_a_cursor_that_was_never_given_is_the_beginning(cursor: str) -> None:
    lists = {"a": [page_with("a", 1)]}
    with Server(lambda seen: workspaces(lists, seen)) as server:
        found = provider_at(server, "bitbucket").repositories(login(Kind.OAUTH), cursor=cursor)
    assert found is not None
    assert [fact.path for fact in found.repositories] == ["a/r0"]


def test_a_cursor_behind_the_last_workspace_finds_nothing_more() -> None:
    lists = {"a": [page_with("a", 1)]}
    with Server(lambda seen: workspaces(lists, seen)) as server:
        found = provider_at(server, "bitbucket").repositories(login(Kind.OAUTH), cursor="7.1")
    assert found is not None
    assert (found.repositories, found.next_cursor) == ((), "")


def test_a_refusing_workspace_is_passed_over_but_an_outage_is_no_list() -> None:
    lists = {"a": [FORBIDDEN], "b": [page_with("b", 1)]}
    with Server(lambda seen: workspaces(lists, seen)) as server:
        found = provider_at(server, "bitbucket").repositories(login(Kind.OAUTH))
    assert found is not None
    assert [fact.path for fact in found.repositories] == ["b/r0"]
    for fault in (html_reply(503), html_reply(404), json_reply({"values": None})):
        lists = {"a": [page_with("a", 1)], "b": [fault]}
        with (
            Server(lambda seen, lists=lists: workspaces(lists, seen)) as server,  # type: ignore[misc]  # bound now
            pytest.raises((ProviderUnreachable, ProviderAnswerUnexpected)),
        ):
            provider_at(server, "bitbucket").repositories(login(Kind.OAUTH))


def test_without_the_scope_for_repositories_nothing_can_be_listed() -> None:
    lists = {"a": [LACKING]}
    with Server(lambda seen: workspaces(lists, seen)) as server:
        assert provider_at(server, "bitbucket").repositories(login(Kind.OAUTH)) is None

"""GitHub's repositories: addresses, one by one, in a list, and through every fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.providers.facts import Login, OrganizationFact, OrganizationState, RepositoryPlace
from credentials.providers.github import GitHub
from credentials.providers.repository_url import parse
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.credentials.providers.test_contract import FAULTS
from tests.sandbox import RunningSandbox

KINDS = (Kind.PERSONAL_TOKEN, Kind.OAUTH, Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN)
CLASSIC = (Kind.PERSONAL_TOKEN, Kind.OAUTH)
SCOPES = {Kind.FINE_GRAINED_TOKEN: ("contents:read",), Kind.APP_TOKEN: ()}


def at(path: str) -> RepositoryPlace:
    owner, _slash, _name = path.partition("/")
    return RepositoryPlace(owner=owner, path=path, organizations=(owner,))


def repository(name: str, **facts: object) -> dict[str, object]:
    return {"full_name": name, "private": True, "default_branch": "main", **facts}


# --- Addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://github.com/acme/cases", "acme/cases"),
        ("https://github.com/acme/cases.git", "acme/cases"),
        ("https://github.com/acme/cases/", "acme/cases"),
        ("git@github.com:acme/cases.git", "acme/cases"),
        ("https://github.com/Acme/Cases.js", "Acme/Cases.js"),
        ("https://github.com/acme/cases/tree/dev/docs/a%20b", "acme/cases"),
        ("https://github.com/acme/cases/blob/main/README.md#top", "acme/cases"),
        ("https://github.com/acme/cases/pull/7/files?w=1", "acme/cases"),
        ("https://github.com/acme/cases/settings/access", "acme/cases"),
        ("https://github.com/acme/cases.git/info/refs", "acme/cases"),
        ("https://github.com/octo_corp/.github", "octo_corp/.github"),
        ("https://github.com/github/docs", "github/docs"),
        ("https://github.com/acme", None),
        ("https://github.com", None),
        ("https://github.com/settings/tokens", None),
        ("https://github.com/orgs/acme/repositories", None),
        ("https://github.com/organizations/acme/settings/profile", None),
        ("https://github.com/login/oauth/authorize", None),
        ("https://github.com/Apps/forgekey", None),
        ("https://github.com/marketplace/actions", None),
        ("https://github.com/users/octo-alice/packages", None),
        ("https://github.com/acme/ca ses", None),
        ("https://github.com/ac.me/cases", None),
        ("https://github.com/acme/" + "x" * 101, None),
        ("https://github.com/acme/ca\u017fes", None),
    ],
)
def test_a_repository_is_read_out_of_what_people_copy(address: str, path: str | None) -> None:
    found = GitHub.place(parse(address).segments)
    assert (found.path if found else None) == path
    if found:
        assert found.organizations == (found.owner,)
        assert found.path.startswith(f"{found.owner}/")


# --- One by one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_repository_is_shown_and_contents_are_claimed_only_where_proved(
    sandbox: RunningSandbox, kind: Kind
) -> None:
    given = login_in(sandbox, "github", kind, SCOPES.get(kind, ("repo",)), resource="acme")
    found = provider_in(sandbox, "github").repository(at("ACME/Cases"), login=given)
    assert (found.path, found.private, found.default_branch) == ("acme/cases", True, "main")
    assert found.clone_url == f"{sandbox.hosts['github'].web_url}/acme/cases.git"
    assert found.reads_contents is (True if kind in CLASSIC else None)
    assert found.evidence == "GET /api/v3/repos/ACME/Cases 200"


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_public_repository_is_shown_to_everybody(sandbox: RunningSandbox, kind: Kind | None) -> None:
    given = login_in(sandbox, "github", kind, SCOPES.get(kind, ("repo",))) if kind else None
    found = provider_in(sandbox, "github").repository(at("acme/public-cases"), login=given)
    assert (found.private, found.reads_contents) == (False, True)
    assert sandbox.calls("github")[-1]["auth"] == ("bearer" if given else "none")


@pytest.mark.parametrize("path", ["octo-bob/own-cases", "acme/no-such-cases"])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_what_is_not_shown_is_not_found_or_no_access(
    sandbox: RunningSandbox, kind: Kind | None, path: str
) -> None:
    given = login_in(sandbox, "github", kind, SCOPES.get(kind, ("repo",))) if kind else None
    with pytest.raises(AccessRefused) as caught:
        provider_in(sandbox, "github").repository(at(path), login=given)
    assert caught.value.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("assxxx/ABC", Kind.OAUTH, VerdictCode.ORGANIZATION_NOT_APPROVED),
        ("sso-corp/cases", Kind.OAUTH, VerdictCode.SSO_REQUIRED),
        ("locked-corp/cases", Kind.PERSONAL_TOKEN, VerdictCode.ORGANIZATION_POLICY),
    ],
)
def test_the_organizations_refusal_comes_with_its_page(
    sandbox: RunningSandbox, path: str, kind: Kind, code: VerdictCode
) -> None:
    with pytest.raises(AccessRefused) as caught:
        provider_in(sandbox, "github").repository(
            at(path), login=login_in(sandbox, "github", kind, ("repo",))
        )
    assert caught.value.verdict_code == code
    assert caught.value.url.startswith(sandbox.hosts["github"].web_url)


def test_a_private_repository_seen_without_the_scope_for_code_is_left_to_git() -> None:
    reply = json_reply(repository("acme/cases"), X_OAuth_Scopes="repo:status")
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))
    assert found.reads_contents is None


def test_the_address_to_clone_is_built_here_and_never_taken_from_the_answer() -> None:
    answer = repository("acme/new-cases", clone_url="https://evil.example/acme/cases.git")
    with Server(lambda seen: json_reply(answer)) as server:
        found = provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))
        assert found.path == "acme/new-cases"
        assert found.clone_url == f"{server.url}/acme/new-cases.git"


@pytest.mark.parametrize(
    "name", ["", "acme", "acme/a/b", "../..", "acme/..", "a b/c", "acme/c\nd", None, 7, ["acme/cases"]]
)
def test_an_odd_name_in_the_answer_is_no_fact(name: object) -> None:
    answer = {"full_name": name, "private": False}
    with Server(lambda seen: json_reply(answer)) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))


def test_whether_it_is_private_may_stay_unknown() -> None:
    with Server(lambda seen: json_reply({"full_name": "acme/cases", "private": "yes"})) as server:
        found = provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.APP_TOKEN))
    assert (found.private, found.reads_contents, found.default_branch) == (None, None, "")


def test_a_server_in_private_mode_rejects_no_token_where_none_was_shown() -> None:
    with (
        Server(lambda seen: json_reply({"message": "Requires authentication"}, 401)) as server,
        pytest.raises(AccessRefused) as caught,
    ):
        provider_at(server, "github").repository(at("acme/cases"), login=None)
    assert caught.value.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert "Authorization" not in server.seen[0].headers


# --- Renamed and transferred --------------------------------------------------------------------------


def moving(location: Callable[[Seen], str]) -> Callable[[Seen], Reply]:
    def script(seen: Seen) -> Reply:
        if "/repos/" in seen.path:
            return json_reply({"message": "Moved Permanently"}, 301, Location=location(seen))
        return json_reply(repository("acme/new-cases"))

    return script


def test_a_renamed_repository_is_found_under_its_new_name() -> None:
    with Server(moving(lambda seen: f"http://{seen.headers['Host']}/api/repositories/1296269")) as server:
        found = provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))
        assert found.path == "acme/new-cases"
        assert found.clone_url == f"{server.url}/acme/new-cases.git"
    assert [seen.path for seen in server.seen] == ["/api/repos/acme/cases", "/api/repositories/1296269"]
    assert found.evidence == "GET /api/repositories/1296269 200"


def test_a_redirect_to_elsewhere_takes_no_token_along() -> None:
    with Server(lambda seen: json_reply(repository("acme/cases"))) as canary:
        away = f"{canary.url}/api/repositories/1296269"
        with Server(moving(lambda seen: away)) as server, pytest.raises(ProviderAnswerUnexpected):
            provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))
    assert canary.connections == 0
    assert len(server.seen) == 1


def test_a_repository_that_moves_on_and_on_is_given_up() -> None:
    def script(seen: Seen) -> Reply:
        location = f"http://{seen.headers['Host']}/api/repositories/{len(server.seen)}"
        return json_reply({}, 301, Location=location)

    with Server(script) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, "github").repository(at("acme/cases"), login=login(Kind.OAUTH))
    assert len(server.seen) == 2


# --- Lists --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_picker_lists_what_the_token_reaches(sandbox: RunningSandbox, kind: Kind) -> None:
    given = login_in(sandbox, "github", kind, SCOPES.get(kind, ("repo",)), resource="acme")
    page = provider_in(sandbox, "github").repositories(given)
    assert page is not None
    found = {item.path: item for item in page.repositories}
    assert found["acme/cases"].private is True
    assert found["acme/cases"].reads_contents is (True if kind in CLASSIC else None)
    assert "octo-bob/own-cases" not in found
    assert page.next_cursor == ""


def test_a_search_narrows_without_regard_to_case(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.PERSONAL_TOKEN, ("repo",))
    provider = provider_in(sandbox, "github")
    for query, path in ((" PUBLIC ", "acme/public-cases"), ("abc", "assxxx/ABC")):
        page = provider.repositories(given, query=query)
        assert page is not None
        assert [item.path for item in page.repositories] == [path]


def paged(pages: int, each: int = 50) -> Callable[[Seen], Reply]:
    """So many pages; every third repository is named after lions."""

    def script(seen: Seen) -> Reply:
        number = int(seen.path.rpartition("page=")[2])
        names = [f"acme/{'lion' if i % 3 == 0 else 'mouse'}-{number}-{i}" for i in range(each)]
        link = '<https://evil.example/?page=2>; rel="next"' if number < pages else ""
        return json_reply([repository(name) for name in names], Link=link)

    return script


def test_pages_are_turned_by_number_and_never_by_the_hosts_link() -> None:
    with Server(paged(3)) as server:
        provider, seen, cursor = provider_at(server, "github"), [], ""
        for _turn in range(3):
            page = provider.repositories(login(Kind.OAUTH), cursor=cursor)
            assert page is not None
            seen += [item.path for item in page.repositories]
            cursor = page.next_cursor
    assert (len(set(seen)), cursor) == (150, "")
    assert len(server.seen) == 3


def test_a_search_turns_ten_pages_at_most_and_says_where_to_go_on() -> None:
    with Server(paged(25, each=2)) as server:
        provider = provider_at(server, "github")
        first = provider.repositories(login(Kind.OAUTH), query="lion-1")
        assert len(server.seen) == 10
        assert first is not None
        assert [item.path for item in first.repositories] == ["acme/lion-1-0", "acme/lion-10-0"]
        assert first.next_cursor == "11"
        rest = provider.repositories(login(Kind.OAUTH), query="lion-1", cursor="11")
    assert rest is not None
    assert len(rest.repositories) == 9
    assert rest.next_cursor == "21"


def test_a_search_that_found_enough_stops() -> None:
    with Server(paged(25)) as server:
        page = provider_at(server, "github").repositories(login(Kind.OAUTH), query="lion")
    assert page is not None
    assert (len(page.repositories), page.next_cursor, len(server.seen)) == (34, "3", 2)


@pytest.mark.parametrize("cursor", ["", "0", "-1", "1e3", "٣", "99999", "https://evil.example/", "2 "])
def test_a_cursor_that_was_not_given_begins_at_the_beginning(cursor: str) -> None:
    with Server(paged(1)) as server:
        provider_at(server, "github").repositories(login(Kind.OAUTH), cursor=cursor)
    assert server.seen[0].path.endswith("&page=1")


def test_an_odd_entry_is_left_out_and_the_rest_is_listed() -> None:
    items = [None, "acme/x", {"full_name": "../x"}, repository("acme/cases"), {"private": True}]
    with Server(lambda seen: json_reply(items)) as server:
        page = provider_at(server, "github").repositories(login(Kind.OAUTH))
    assert page is not None
    assert [item.path for item in page.repositories] == ["acme/cases"]


# --- Faults -------------------------------------------------------------------------------------------

UNKNOWN = (ProviderUnreachable, ProviderRateLimited, ProviderAnswerUnexpected)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_turns_into_an_answer(kind: Kind, fault: str) -> None:
    with Server(lambda seen: FAULTS[fault]) as server:
        provider = provider_at(server, "github")
        for given in (login(kind), None):
            with pytest.raises(UNKNOWN):
                provider.repository(at("acme/cases"), login=given)
        found = _tried(lambda: provider.organization(login(kind), "acme"))
        if fault == "429":
            assert isinstance(found, ProviderRateLimited)
        else:
            assert isinstance(found, OrganizationFact)
            assert found.state is OrganizationState.UNKNOWN
        listed = _tried(lambda: provider.repositories(login(kind), query="x"))
        assert isinstance(listed, UNKNOWN) or fault == "200 list"


def _tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except ProviderError as problem:
        return problem


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_token_is_rejected_by_every_question(kind: Kind) -> None:
    def given() -> Login:
        return login(kind)

    with Server(lambda seen: json_reply({"message": "Bad credentials"}, 401)) as server:
        provider = provider_at(server, "github")
        for call in (
            lambda: provider.repository(at("acme/cases"), login=given()),
            lambda: provider.repositories(given()),
            lambda: provider.organization(given(), "acme"),
            lambda: provider.organizations(given()),
        ):
            with pytest.raises(TokenRejected):
                call()
    assert len(server.seen) == 4, "a refused token is never shown a second time"

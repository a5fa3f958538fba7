"""Bitbucket Data Center: the header that proves a token, robots, and the user name for Git."""

from __future__ import annotations

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import AccessRefused, ProviderAnswerUnexpected, TokenRejected
from credentials.providers.bitbucket_server import BitbucketServer
from credentials.providers.facts import Identity, Login, OrganizationState, Revocation
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

NAME = "bitbucket_server"
MINE = login(Kind.PERSONAL_TOKEN)
PROPERTIES = {"version": "9.4.2", "displayName": "Bitbucket"}
PROJECTS = json_reply({"values": [], "isLastPage": True})
ALICE = json_reply({"name": "octo-alice", "id": 7, "slug": "octo-alice"})


def error(name: str, status: int = 401) -> Reply:
    fault = {"context": None, "message": "…", "exceptionName": f"com.atlassian.bitbucket.{name}"}
    return json_reply({"errors": [fault]}, status)


def host(caller: str | None, **paths: Reply) -> Server:
    """A host that names this caller, and answers these first words of a path."""

    def script(seen: Seen) -> Reply:
        path = seen.path.removeprefix("/api/").partition("?")[0]
        if path == "application-properties":
            return json_reply(PROPERTIES) if caller is None else json_reply(PROPERTIES, X_AUSERNAME=caller)
        word = path.partition("/")[0]
        if "Authorization" not in seen.headers and f"{word}_to_strangers" in paths:
            return paths[f"{word}_to_strangers"]
        return paths.get(word, error("NoSuchThingException", 404))

    return Server(script)


# --- The token ----------------------------------------------------------------------------------------


def test_the_header_names_the_account_and_its_id_is_the_one_that_stays() -> None:
    with host("octo-alice", users=ALICE) as server:
        found = provider_at(server, NAME).verify(MINE)
    assert found.identity == Identity(account_id="7", account_name="octo-alice")
    assert (found.kind, found.scopes, found.missing_scopes) == (Kind.PERSONAL_TOKEN, None, ())
    assert found.evidence == ("GET /api/application-properties 200", "GET /api/users/octo-alice 200")


def test_a_name_is_decoded_and_asked_for_in_small_letters() -> None:
    alice = json_reply({"name": "Alice@Acme", "id": 8})
    with host("Alice%40Acme", users=alice) as server:
        found = provider_at(server, NAME).verify(MINE)
    assert found.identity == Identity(account_id="8", account_name="Alice@Acme")
    assert server.seen[-1].path == "/api/users/alice%40acme"


@pytest.mark.parametrize(
    "users",
    [
        error("NoSuchUserException", 404),
        json_reply({"name": "octo-bob", "id": 9}),
        html_reply(200),
        json_reply([]),
    ],
)
def test_a_token_whose_account_is_not_shown_is_proved_all_the_same(users: Reply) -> None:
    with host("octo-alice", users=users) as server:
        found = provider_at(server, NAME).verify(MINE)
    assert (found.identity, found.kind) == (None, Kind.PERSONAL_TOKEN)


def test_a_robots_name_makes_it_a_token_of_a_project_or_a_repository() -> None:
    with host("access-token-user%2F2%2F11754") as server:
        found = provider_at(server, NAME).verify(MINE)
    assert (found.identity, found.kind) == (None, Kind.ACCESS_TOKEN)
    assert len(server.seen) == 1


def test_nobody_named_and_nothing_shown_is_a_token_that_is_not_accepted() -> None:
    for refusal in (error("AuthorisationException"), error("AuthenticationException")):
        with host(None, projects=refusal) as server, pytest.raises(TokenRejected) as caught:
            provider_at(server, NAME).verify(MINE)
        assert caught.value.evidence == "GET /api/projects 401"


def test_nobody_named_and_no_projects_found_says_nothing_about_the_token() -> None:
    with host(None, projects=error("NoSuchProjectException", 404)) as server, pytest.raises(AccessRefused):
        provider_at(server, NAME).verify(MINE)


def test_nobody_named_but_more_shown_than_to_strangers_is_a_robots_token() -> None:
    closed = error("AuthorisationException")
    with host(None, projects=PROJECTS, projects_to_strangers=closed) as server:
        found = provider_at(server, NAME).verify(MINE)
    assert (found.identity, found.kind) == (None, Kind.ACCESS_TOKEN)
    assert found.evidence[-1] == "GET /api/projects 401: to strangers"


def test_what_strangers_are_shown_as_well_proves_nothing_either_way() -> None:
    with host(None, projects=PROJECTS) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, NAME).verify(MINE)


@pytest.mark.parametrize("caller", ["", "%20", "a%0Ab", "a%00b", "a b"])
def test_a_header_without_a_usable_name_names_nobody(caller: str) -> None:
    with host(caller, projects=error("AuthorisationException")) as server, pytest.raises(TokenRejected):
        provider_at(server, NAME).verify(MINE)


@pytest.mark.parametrize("body", [{}, [], {"version": 9}, {"status": "running"}])
@pytest.mark.parametrize("named", [True, False])
def test_an_answer_that_is_not_bitbuckets_says_nothing_about_the_token(body: object, named: bool) -> None:
    def script(seen: Seen) -> Reply:
        if "application-properties" not in seen.path:
            return error("AuthorisationException")
        return json_reply(body, X_AUSERNAME="octo-alice") if named else json_reply(body)

    with Server(script) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, NAME).verify(MINE)
    assert len(server.seen) == 1


def test_not_permitted_is_no_word_about_the_token_and_not_authenticated_is() -> None:
    provider = BitbucketServer
    with (
        Server(lambda seen: error("AuthorisationException")) as server,
        pytest.raises(AccessRefused),
    ):
        provider_at(server, provider.name).ask("GET", "/projects/ACME", login=MINE)
    wrong = error("auth.IncorrectPasswordAuthenticationException")
    with Server(lambda seen: wrong) as server, pytest.raises(TokenRejected):
        provider_at(server, provider.name).ask("GET", "/projects/ACME", login=MINE)


# --- Git ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "username", "sent"),
    [
        (Kind.PERSONAL_TOKEN, "octo-alice", "octo-alice"),
        (Kind.PERSONAL_TOKEN, "", "x-token-auth"),
        (Kind.PERSONAL_TOKEN, "a:b", "x-token-auth"),
        (Kind.ACCESS_TOKEN, "octo-alice", "x-token-auth"),
        (Kind.ACCESS_TOKEN, "", "x-token-auth"),
    ],
)
def test_git_gets_the_accounts_name_for_a_personal_token_only(kind: Kind, username: str, sent: str) -> None:
    given = Login(token=Secret("t"), kind=kind, username=username)
    assert BitbucketServer.git_login(given).username == sent


def test_both_kinds_have_the_names_that_people_know_them_by() -> None:
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, NAME)
    titles = [str(provider.login_title(kind)) for kind in sorted(provider.kinds)]
    assert titles == ["HTTP access token of a project or a repository", "HTTP access token"]


def test_the_form_asks_for_the_user_name_and_the_page_revokes() -> None:
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, NAME)
        assert provider.guide().fields == ("token", "username")
        result = provider.revoke(MINE, client_secret=None)
    assert result.outcome is Revocation.MANUAL
    assert result.manual_url == f"{server.url}/plugins/servlet/access-tokens/manage"
    assert server.seen == []


# --- At the sandbox -----------------------------------------------------------------------------------


def test_every_kind_of_token_is_told_apart(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "bitbucket-server")
    mine = login_in(sandbox, "bitbucket-server", Kind.PERSONAL_TOKEN)
    found = provider.verify(mine)
    assert found.identity is not None
    assert (found.identity.account_name, found.kind) == ("octo-alice", Kind.PERSONAL_TOKEN)
    robots = login_in(
        sandbox, "bitbucket-server", Kind.PERSONAL_TOKEN, minted_as="access_token", resource="acme"
    )
    proved = provider.verify(robots)
    assert (proved.identity, proved.kind) == (None, Kind.ACCESS_TOKEN)


def test_projects_are_the_organizations(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "bitbucket-server")
    mine = login_in(sandbox, "bitbucket-server", Kind.PERSONAL_TOKEN)
    facts = provider.organizations(mine)
    assert facts is not None
    assert [fact.key for fact in facts] == ["ACME", "ASSXXX", "SSO_CORP", "LOCKED_CORP"]
    assert facts[0].name == "Acme"
    assert facts[0].url.endswith("/projects/ACME")
    one = provider.organization(mine, "acme")
    assert one is not None
    assert one.state is OrganizationState.ACCESSIBLE
    assert provider.organization(mine, "NOPE") is None
    assert provider.organization(mine, "~octo-alice") is None
    sandbox.control("bitbucket-server", "POST", "organizations/assxxx", {"blocked": True})
    shut = provider.organization(mine, "ASSXXX")
    assert shut is not None
    assert (shut.state, shut.evidence.rpartition(" ")[2]) == (OrganizationState.UNKNOWN, "401")


def test_projects_are_read_page_by_page_and_never_in_a_circle() -> None:
    def script(seen: Seen) -> Reply:
        start = int(seen.path.rpartition("start=")[2])
        key = {"key": f"P{start}", "name": "", "type": "NORMAL"}
        return json_reply(
            {
                "values": [key, {"key": "~a"}, 7],
                "isLastPage": False,
                "start": start,
                "nextPageStart": (1, 1)[start],
            }
        )

    with Server(script) as server:
        facts = provider_at(server, NAME).organizations(MINE)
    assert facts is not None
    assert [fact.key for fact in facts] == ["P0", "P1"]
    assert len(server.seen) == 2

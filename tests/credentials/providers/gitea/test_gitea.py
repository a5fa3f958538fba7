"""Gitea and Forgejo: proof by a scope's refusal, and scopes that are never empty."""

from __future__ import annotations

import pytest

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.facts import HostFacts, OrganizationState, Revocation
from credentials.providers.gitea import Gitea
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import NOW, door, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

LACKING = {
    "message": "token does not have at least one of required scope(s): [read:user]",
    "url": "https://codeberg.org/api/swagger",
}


def gitea() -> Gitea:
    facts = HostFacts(slug="gitea", name="Codeberg", **Gitea.public_host())
    return Gitea(host=facts, door=door(), now=lambda: NOW)


def answer(status: int, body: object) -> Answer:
    return Answer(method="GET", path="/x", status=status, headers={}, json=body)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(403, LACKING), ScopeMissing),
        (answer(403, {"message": "token does not have at least one of required scope(s)"}), ScopeMissing),
        (answer(403, {"message": "Only signed in user is allowed to call APIs."}), ProviderAnswerUnexpected),
        (answer(403, {"message": 7}), ProviderAnswerUnexpected),
        (answer(401, {"message": "token is required"}), TokenRejected),
        (answer(404, {"message": "The target couldn't be found."}), AccessRefused),
        (answer(401, None), ProviderUnreachable),
    ],
)
def test_answers_are_matched_in_the_order_of_the_fact_sheet(given: Answer, kind: type[ProviderError]) -> None:
    assert type(gitea().translate(given)) is kind


def test_the_scope_that_is_wanted_is_named() -> None:
    problem = gitea().translate(answer(403, LACKING))
    assert isinstance(problem, ScopeMissing)
    assert problem.required == ("read:user",)


def test_the_least_scope_is_proved_by_a_refusal(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository",))
    found = provider_in(sandbox, "gitea").verify(given)
    assert (found.identity, found.scopes, found.missing_scopes) == (None, None, ())
    assert found.evidence == ("GET /api/v1/user 403: required scope(s)", "GET /api/v1/repos/search 200")


def test_with_the_user_scope_the_account_is_known(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository", "read:user"))
    found = provider_in(sandbox, "gitea").verify(given)
    assert found.identity is not None
    assert found.identity.account_name == "octo-alice"


def test_an_oauth_token_is_proved(sandbox: RunningSandbox) -> None:
    scopes = gitea().oauth().scopes
    found = provider_in(sandbox, "gitea").verify(login_in(sandbox, "gitea", Kind.OAUTH, scopes))
    assert found.identity is not None
    assert found.missing_scopes == ()


@pytest.mark.parametrize(
    "reply",
    [html_reply(502), html_reply(404), json_reply({"message": "…"}, 404), json_reply({}, 429), Reply()],
)
def test_whether_repositories_may_be_read_stays_unknown_after_a_fault(reply: Reply) -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({"id": 7, "login": "octo-alice"}) if seen.path.endswith("/user") else reply

    with Server(script) as server:
        found = provider_at(server, "gitea").verify(login(Kind.PERSONAL_TOKEN))
    assert found.missing_scopes == ()
    assert found.identity is not None


def test_a_token_revoked_between_two_questions_is_rejected() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        return json_reply({"message": "token is required"}, 401)

    with Server(script) as server, pytest.raises(TokenRejected):
        provider_at(server, "gitea").verify(login(Kind.PERSONAL_TOKEN))


def test_organizations_are_listed_where_the_scopes_allow_it(sandbox: RunningSandbox) -> None:
    scopes = ("read:repository", "read:user", "read:organization")
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, scopes)
    facts = provider_in(sandbox, "gitea").organizations(given)
    assert facts is not None
    assert {fact.key for fact in facts} >= {"acme", "assxxx"}
    assert {fact.state for fact in facts} == {OrganizationState.ACCESSIBLE}


def test_without_the_organization_scope_they_are_unknown(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ("read:repository",))
    assert provider_in(sandbox, "gitea").organizations(given) is None


def test_all_pages_are_read_even_where_the_server_caps_them_lower() -> None:
    def script(seen: Seen) -> Reply:
        number = int(seen.path.partition("page=")[2].partition("&")[0])
        return json_reply([{"name": f"org{number}"}] if number <= 3 else [], X_Total_Count="3")

    with Server(script) as server:
        facts = provider_at(server, "gitea").organizations(login(Kind.PERSONAL_TOKEN))
    assert [fact.key for fact in facts or ()] == ["org1", "org2", "org3"]


def test_half_a_list_of_organizations_is_no_list() -> None:
    def script(seen: Seen) -> Reply:
        if "page=1&" in seen.path:
            return json_reply([{"name": "acme"}], X_Total_Count="2")
        return html_reply(503)

    with Server(script) as server, pytest.raises(ProviderUnreachable):
        provider_at(server, "gitea").organizations(login(Kind.PERSONAL_TOKEN))


ALL_SCOPES = ("read:repository", "read:user", "read:organization")


@pytest.mark.parametrize(
    ("scopes", "state", "evidence"),
    [
        (ALL_SCOPES, OrganizationState.ACCESSIBLE, "GET /api/v1/orgs/Acme 200"),
        (("read:organization",), OrganizationState.ACCESSIBLE, "GET /api/v1/orgs/Acme 200"),
        (("read:repository",), OrganizationState.UNKNOWN, "GET /api/v1/orgs/Acme 403: required scope(s)"),
    ],
)
def test_one_organization_answers_where_the_scopes_allow_it(
    sandbox: RunningSandbox, scopes: tuple[str, ...], state: OrganizationState, evidence: str
) -> None:
    fact = provider_in(sandbox, "gitea").organization(
        login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, scopes), "Acme"
    )
    assert fact is not None
    assert (fact.state, fact.evidence) == (state, evidence)
    assert fact.url == f"{sandbox.hosts['gitea'].web_url}/Acme"


def test_a_public_organization_of_others_is_no_membership(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ALL_SCOPES)
    sandbox.control("gitea", "POST", "organizations/acme", {"members": {"octo-alice": "none"}})
    fact = provider_in(sandbox, "gitea").organization(given, "acme")
    assert fact is not None
    assert fact.state is OrganizationState.NO_MEMBERSHIP


@pytest.mark.parametrize("key", ["octo-alice", "nothing", "", "..", "a/b"])
def test_a_person_and_what_is_no_organization_are_none(sandbox: RunningSandbox, key: str) -> None:
    given = login_in(sandbox, "gitea", Kind.PERSONAL_TOKEN, ALL_SCOPES)
    assert provider_in(sandbox, "gitea").organization(given, key) is None


@pytest.mark.parametrize("reply", [html_reply(503), html_reply(404), json_reply({})])
def test_an_organization_stays_unknown_where_the_account_s_own_list_cannot_be_had(reply: Reply) -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({"name": "acme"}) if "/orgs/acme" in seen.path else reply

    with Server(script) as server:
        fact = provider_at(server, "gitea").organization(login(Kind.PERSONAL_TOKEN), "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN


def test_an_answer_about_another_organization_leaves_it_unknown() -> None:
    with Server(lambda seen: json_reply({"name": "other"})) as server:
        fact = provider_at(server, "gitea").organization(login(Kind.PERSONAL_TOKEN), "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN


def test_oauth_without_scopes_would_grant_everything_so_they_are_always_asked_for() -> None:
    assert gitea().oauth().scopes == ("read:repository", "read:user", "read:organization")


def test_revocation_is_left_to_the_person() -> None:
    for kind in Gitea.kinds:
        result = gitea().revoke(login(kind), client_secret=None)
        assert result.outcome is Revocation.MANUAL
        assert result.manual_url == "https://codeberg.org/user/settings/applications"

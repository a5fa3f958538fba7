"""Azure DevOps: one organization per host, and the many ways a dead token is answered."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from credentials.errors import ProviderAnswerUnexpected, ProviderError, ProviderUnreachable, TokenRejected
from credentials.providers.base import Provider
from credentials.providers.facts import OrganizationState, Revocation
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import TOKEN, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

NAME = "azure_devops"
MINE = login(Kind.PERSONAL_TOKEN)
PROJECTS = json_reply({"count": 1, "value": [{"name": "cases"}]})
OWN = {"X-TFS-FedAuthRealm": "https://x.visualstudio.com/", "Content-Type": "text/html"}
EXPIRED = "Access Denied: The Personal Access Token used has expired."
PAGE = b"<html>Sign In</html>"


def bare(provider: Provider) -> Provider:
    """The same host, registered without an organization."""
    origin = (
        provider.host.web_url.rpartition("/")[0]
        if provider.host.web_url.count("/") > 2
        else provider.host.web_url
    )
    return type(provider)(
        host=replace(provider.host, web_url=origin, api_url=origin), door=provider.door, now=provider.now
    )


# --- The token ----------------------------------------------------------------------------------------


def test_a_token_is_sent_without_a_user_name_and_asks_for_a_plain_refusal() -> None:
    with Server(lambda seen: PROJECTS) as server:
        found = provider_at(server, NAME).verify(MINE)
    (seen,) = server.seen
    assert base64.b64decode(seen.headers["Authorization"].removeprefix("Basic ")).decode() == f":{TOKEN}"
    assert seen.headers["X-TFS-FedAuthRedirect"] == "Suppress"
    assert "api-version=7.1" in seen.path
    assert (found.identity, found.scopes, found.missing_scopes, found.expires_at) == (None, None, (), None)
    assert found.evidence == ("GET /api/_apis/projects 200",)


def test_without_an_organization_nothing_is_asked_and_nothing_is_claimed() -> None:
    with Server(lambda seen: PROJECTS) as server:
        provider = bare(provider_at(server, NAME))
        with pytest.raises(ProviderAnswerUnexpected) as caught:
            provider.verify(MINE)
        assert "must name the organization" in caught.value.evidence
        assert provider.organizations(MINE) is None
        assert provider.repositories(MINE) is None
    assert server.seen == []


DEAD: dict[str, Reply] = {
    "401 in JSON": json_reply({"message": "TF400813: …", "typeKey": "UnauthorizedRequestException"}, 401),
    "401 of its own without a body": Reply(status=401, headers=OWN),
    "401 of its own with a page": Reply(status=401, headers=OWN, body=PAGE),
    "203 with the page to sign in": Reply(status=203, headers=OWN, body=PAGE),
    "302 to the page to sign in": Reply(
        status=302, headers={"Location": "https://spsprod.vssps.visualstudio.com/_signin?realm=x"}
    ),
    "302 with its own headers": Reply(status=302, headers={**OWN, "Location": "https://login.example/"}),
}


@pytest.mark.parametrize("reply", DEAD.values(), ids=DEAD)
def test_a_dead_token_is_known_by_each_answer_it_gets(reply: Reply) -> None:
    with Server(lambda seen: reply) as server, pytest.raises(TokenRejected) as caught:
        provider_at(server, NAME).verify(MINE)
    assert caught.value.reason == "invalid"
    assert len(server.seen) == 1


NOT_KNOWN: dict[str, Reply] = {
    "203 of a proxy": Reply(status=203, headers={"Content-Type": "text/html"}, body=PAGE),
    "203 in JSON": json_reply({"value": []}, 203),
    "302 elsewhere": Reply(status=302, headers={"Location": "https://portal.example/login"}),
    "302 to a longer path": Reply(status=302, headers={"Location": "https://p.example/x/_signin"}),
    "302 to nowhere": Reply(status=302, headers={"Location": "https://["}),
    "401 of a proxy": html_reply(401),
    "403": json_reply({"message": "The requested operation is not allowed."}, 403),
    "200 without a list": json_reply({"value": {}}),
    "200 page": html_reply(200),
}


@pytest.mark.parametrize("reply", NOT_KNOWN.values(), ids=NOT_KNOWN)
def test_what_something_else_may_have_answered_says_nothing(reply: Reply) -> None:
    with (
        Server(lambda seen: reply) as server,
        pytest.raises((ProviderAnswerUnexpected, ProviderUnreachable)) as caught,
    ):
        provider_at(server, NAME).verify(MINE)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"message": EXPIRED, "typeKey": "AccessCheckException"}, 401),
        json_reply({"message": EXPIRED}, 403),
        Reply(status=401, headers={**OWN, "X-TFS-ServiceError": EXPIRED.replace(" ", "%20")}),
    ],
)
def test_an_expired_token_is_told_from_a_wrong_one(reply: Reply) -> None:
    with Server(lambda seen: reply) as server, pytest.raises(TokenRejected) as caught:
        provider_at(server, NAME).verify(MINE)
    assert caught.value.reason == "expired"


# --- Projects -----------------------------------------------------------------------------------------


def test_projects_are_read_page_by_page() -> None:
    def script(seen: Seen) -> Reply:
        skip = int(seen.path.rpartition("skip=")[2])
        names = [f"p{number}" for number in range(skip, min(skip + 100, 150))]
        return json_reply({"count": len(names), "value": [{"name": name} for name in names]})

    with Server(script) as server:
        facts = provider_at(server, NAME).organizations(MINE)
    assert facts is not None
    assert len(facts) == 150
    assert len(server.seen) == 2
    assert {fact.state for fact in facts} == {OrganizationState.ACCESSIBLE}


@pytest.mark.parametrize("key", ["", "..", "_apis", "a/b", "a\nb", "a?b", "x" * 65])
def test_what_can_be_no_project_is_not_asked_for(key: str) -> None:
    with Server(lambda seen: PROJECTS) as server:
        assert provider_at(server, NAME).organization(MINE, key) is None
    assert server.seen == []


def test_a_project_that_answers_under_another_name_is_no_answer() -> None:
    with Server(lambda seen: json_reply({"name": "other"})) as server:
        fact = provider_at(server, NAME).organization(MINE, "cases")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN


# --- Pages --------------------------------------------------------------------------------------------


def test_the_page_for_tokens_is_the_organizations() -> None:
    with Server(lambda seen: PROJECTS) as server:
        provider = provider_at(server, NAME)
        assert provider.guide().create_url == f"{server.url}/_usersSettings/tokens"
        assert bare(provider).guide().create_url == f"{server.url}/"
        result = provider.revoke(MINE, client_secret=None)
    assert (result.outcome, result.manual_url) == (Revocation.MANUAL, f"{server.url}/_usersSettings/tokens")


# --- At the sandbox -----------------------------------------------------------------------------------


def test_a_token_proves_itself_at_its_own_organization_only(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "azure")
    mine = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",))
    assert provider.verify(mine).kind is Kind.PERSONAL_TOKEN
    facts = provider.organizations(mine)
    assert facts is not None
    assert [fact.key for fact in facts] == ["cases", "public-cases"]
    assert facts[0].url == f"{provider.host.web_url}/cases"
    one = provider.organization(mine, "CASES")
    assert one is not None
    assert one.state is OrganizationState.ACCESSIBLE
    assert provider.organization(mine, "nope") is None
    other = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",), resource="assxxx")
    with pytest.raises(TokenRejected):
        provider.verify(other)


def test_an_expired_token_is_said_to_be(sandbox: RunningSandbox) -> None:
    expired = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",), expires_in=0)
    with pytest.raises(TokenRejected) as caught:
        provider_in(sandbox, "azure").verify(expired)
    assert caught.value.reason == "expired"


def test_below_a_host_without_an_organization_no_token_is_called_dead(sandbox: RunningSandbox) -> None:
    provider = bare(provider_in(sandbox, "azure"))
    other = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",), resource="assxxx")
    place = provider.place(("acme", "cases", "_git", "cases"))
    assert place is not None
    with pytest.raises(ProviderError) as caught:
        provider.repository(place, login=other)
    assert not isinstance(caught.value, TokenRejected)
    mine = login_in(sandbox, "azure", Kind.PERSONAL_TOKEN, ("vso.code",))
    assert provider.repository(place, login=mine).path == "acme/_git/cases"

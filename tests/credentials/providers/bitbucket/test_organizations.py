"""Bitbucket's workspaces, asked one at a time."""

from __future__ import annotations

import pytest

from credentials.errors import TokenRejected
from credentials.providers.facts import OrganizationLinks, OrganizationState
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

READ = ("read:repository:bitbucket",)


@pytest.mark.parametrize("key", ["acme", "octo-alice"])
def test_a_workspace_answers_without_a_scope_for_workspaces(sandbox: RunningSandbox, key: str) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, READ)
    fact = provider_in(sandbox, "bitbucket").organization(given, key)
    assert fact is not None
    assert (fact.key, fact.state) == (key, OrganizationState.ACCESSIBLE)
    assert fact.evidence == f"GET /2.0/repositories/{key} 200"
    assert fact.url == f"{sandbox.hosts['bitbucket'].web_url}/{key}/"


@pytest.mark.parametrize("key", ["nothing", "octo-bob", "", "..", "a/b", "a b"])
def test_a_workspace_that_is_not_there_or_not_shown_is_none(sandbox: RunningSandbox, key: str) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, READ)
    assert provider_in(sandbox, "bitbucket").organization(given, key) is None


def test_a_missing_scope_is_the_evidence_of_an_unknown_state(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ("read:user:bitbucket",))
    fact = provider_in(sandbox, "bitbucket").organization(given, "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN
    assert fact.evidence == "GET /2.0/repositories/acme 403: privilege scopes"


def test_a_bare_refusal_stays_unknown_since_its_cause_is_documented_nowhere(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, READ)
    sandbox.control("bitbucket", "POST", "organizations/acme", {"blocked": True})
    fact = provider_in(sandbox, "bitbucket").organization(given, "acme")
    assert fact is not None
    assert (fact.state, fact.evidence) == (OrganizationState.UNKNOWN, "GET /2.0/repositories/acme 403")


def test_a_token_of_one_workspace_knows_no_other(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.ACCESS_TOKEN, ("repository",), resource="acme/cases")
    provider = provider_in(sandbox, "bitbucket")
    own = provider.organization(given, "acme")
    assert own is not None
    assert own.state is OrganizationState.ACCESSIBLE
    assert provider.organization(given, "assxxx") is None


@pytest.mark.parametrize(
    "reply",
    [json_reply({}), json_reply([]), json_reply({"values": None}), html_reply(200), html_reply(404), html_reply(503),
     json_reply({}, 410)],
)  # fmt: skip
def test_an_answer_about_anything_else_leaves_the_workspace_unknown(reply: Reply) -> None:
    with Server(lambda seen: reply) as server:
        fact = provider_at(server, "bitbucket").organization(login(Kind.API_TOKEN), "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN


def test_a_rejected_token_is_raised() -> None:
    with Server(lambda seen: json_reply({}, 401)) as server, pytest.raises(TokenRejected):
        provider_at(server, "bitbucket").organization(login(Kind.API_TOKEN), "acme")


def test_no_page_mends_what_a_workspace_answers() -> None:
    with Server(lambda seen: json_reply({})) as server:
        links = provider_at(server, "bitbucket").organization_links("acme", kind=Kind.OAUTH, client_id="x")
    assert links == OrganizationLinks()

"""GitLab's groups: one question about one of them, and what is known without the scope for it."""

from __future__ import annotations

import pytest

from credentials.errors import TokenRejected
from credentials.providers.facts import OrganizationLinks, OrganizationState
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

INSUFFICIENT = json_reply({"error": "insufficient_scope", "scope": "api read_api"}, 403)


def test_a_group_answers_to_read_api(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    fact = provider_in(sandbox, "gitlab").organization(given, "ACME")
    assert fact is not None
    assert (fact.key, fact.state) == ("ACME", OrganizationState.ACCESSIBLE)
    assert fact.evidence == "GET /api/v4/groups/ACME 200"
    assert fact.url == f"{sandbox.hosts['gitlab'].web_url}/groups/ACME"


@pytest.mark.parametrize("key", ["octo-alice", "nothing", "", ".", "../x", "a b", "-"])
def test_a_persons_namespace_and_what_is_no_group_are_none(sandbox: RunningSandbox, key: str) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    assert provider_in(sandbox, "gitlab").organization(given, key) is None


def test_a_missing_session_is_a_state_with_the_page_that_mends_it(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    fact = provider_in(sandbox, "gitlab").organization(given, "sso-corp")
    assert fact is not None
    assert fact.state is OrganizationState.SSO_REQUIRED
    assert fact.url.startswith(f"{sandbox.hosts['gitlab'].web_url}/groups/sso-corp/-/saml/sso?token=")
    signed_in = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",), organizations=("sso-corp",))
    mended = provider_in(sandbox, "gitlab").organization(signed_in, "sso-corp")
    assert mended is not None
    assert mended.state is OrganizationState.ACCESSIBLE


def test_a_group_that_hides_is_none_and_one_that_refuses_is_unknown(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    sandbox.control("gitlab", "POST", "organizations/acme", {"ip_allow_list": True})
    assert provider_in(sandbox, "gitlab").organization(given, "acme") is None
    sandbox.control("gitlab", "POST", "organizations/acme", {"ip_allow_list": False, "blocked": True})
    fact = provider_in(sandbox, "gitlab").organization(given, "acme")
    assert fact is not None
    assert (fact.state, fact.evidence) == (OrganizationState.UNKNOWN, "GET /api/v4/groups/acme 403")


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("Acme", OrganizationState.ACCESSIBLE),
        ("sso-corp", OrganizationState.UNKNOWN),
        ("octo-alice", OrganizationState.UNKNOWN),
    ],
)
def test_without_read_api_the_associations_of_the_token_tell(
    sandbox: RunningSandbox, key: str, state: OrganizationState
) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_repository",))
    fact = provider_in(sandbox, "gitlab").organization(given, key)
    assert fact is not None
    assert fact.state is state
    assert "self/associations" in fact.evidence


def test_an_oauth_token_without_read_api_leaves_a_group_unknown(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.OAUTH, ("read_repository", "read_user"))
    fact = provider_in(sandbox, "gitlab").organization(given, "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN
    assert fact.evidence == "GET /api/v4/groups/acme 403: insufficient_scope"


def test_a_subgroup_is_one_segment_and_named_by_its_address_in_associations() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/groups"):
            return INSUFFICIENT
        web_urls = ["https://other.example/gitlab/groups/acme/sub", "https://x/groups/../up", "no address", 7]
        return json_reply({"groups": [{"name": "Sub", "web_url": url} for url in web_urls], "projects": []})

    with Server(script) as server:
        provider = provider_at(server, "gitlab")
        fact = provider.organization(login(Kind.PERSONAL_TOKEN), "acme/sub")
        listed = provider.organizations(login(Kind.PERSONAL_TOKEN))
    assert fact is not None
    assert (fact.key, fact.name, fact.state) == ("acme/sub", "Sub", OrganizationState.ACCESSIBLE)
    assert fact.url == ""
    assert server.seen[0].path.startswith("/api/groups/acme%2Fsub?")
    assert [one.key for one in listed or ()] == ["acme/sub"]


def test_associations_go_on_where_the_groups_do_although_their_projects_have_ended() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/groups"):
            return INSUFFICIENT
        number = 1 if "page=1" in seen.path.replace("per_page=", "") else 2
        count = 100 if number == 1 else 1
        groups = [{"name": "G", "web_url": f"https://x/groups/g{number}-{one}"} for one in range(count)]
        return json_reply({"groups": groups, "projects": []}, X_Next_Page="")

    with Server(script) as server:
        listed = provider_at(server, "gitlab").organizations(login(Kind.PERSONAL_TOKEN))
    assert len(listed or ()) == 101


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"full_path": "other"}),
        json_reply([]),
        json_reply({"error": "x"}),
        html_reply(200),
        html_reply(404),
        html_reply(503),
        Reply(status=301, headers={"Location": "/x"}),
    ],
)
def test_an_answer_about_anything_else_leaves_the_group_unknown(reply: Reply) -> None:
    with Server(lambda seen: reply) as server:
        fact = provider_at(server, "gitlab").organization(login(Kind.PERSONAL_TOKEN), "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN


def test_a_token_rejected_on_the_way_is_raised() -> None:
    def script(seen: Seen) -> Reply:
        is_group = seen.path.startswith("/api/groups")
        return INSUFFICIENT if is_group else json_reply({"message": "401 Unauthorized"}, 401)

    with Server(script) as server, pytest.raises(TokenRejected):
        provider_at(server, "gitlab").organization(login(Kind.PERSONAL_TOKEN), "acme")


def test_single_sign_on_is_at_the_topmost_group_and_not_for_the_tokens_of_projects() -> None:
    with Server(lambda seen: json_reply({})) as server:
        provider = provider_at(server, "gitlab")
        for kind in (Kind.OAUTH, Kind.PERSONAL_TOKEN):
            links = provider.organization_links("acme/sub/deep", kind=kind, client_id="x")
            assert links == OrganizationLinks(sso=f"{server.url}/groups/acme/-/saml/sso")
        links = provider.organization_links("acme", kind=Kind.ACCESS_TOKEN, client_id="")
        assert links == OrganizationLinks()

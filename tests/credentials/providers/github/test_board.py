"""GitHub: what organizations answer to classic, OAuth and fine-grained tokens, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from credentials.errors import ProviderUnreachable
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

RESTRICTED = (
    "Although you appear to have the correct authorization credentials, the `assxxx` organization has enabled OAuth "
    "App access restrictions, meaning that data access to third-parties is limited."
)


def states(sandbox: RunningSandbox, kind: Kind, **minting: object) -> dict[str, OrganizationState]:
    scopes = ("repo",) if kind in {Kind.PERSONAL_TOKEN, Kind.OAUTH} else ()
    given = login_in(sandbox, "github", kind, scopes, **minting)  # type: ignore[arg-type]  # passed through
    facts = provider_in(sandbox, "github").organizations(given)
    return {fact.key: fact.state for fact in facts or ()}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.PERSONAL_TOKEN, ("accessible", "accessible", "sso_required", "policy_blocked")),
        (Kind.OAUTH, ("accessible", "not_approved", "sso_required", "accessible")),
    ],
)
def test_every_organization_says_what_it_thinks_of_a_token(
    sandbox: RunningSandbox, kind: Kind, expected: tuple[str, ...]
) -> None:
    found = states(sandbox, kind)
    assert [found[name].value for name in ("acme", "assxxx", "sso-corp", "locked-corp")] == list(expected)


def test_an_approval_turns_the_state(sandbox: RunningSandbox) -> None:
    assert states(sandbox, Kind.OAUTH)["assxxx"] is OrganizationState.NOT_APPROVED
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    assert states(sandbox, Kind.OAUTH)["assxxx"] is OrganizationState.ACCESSIBLE


def test_an_address_list_is_told_from_an_app_restriction(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"ip_allow_list": True})
    assert states(sandbox, Kind.PERSONAL_TOKEN)["acme"] is OrganizationState.IP_BLOCKED


def test_a_fine_grained_token_reaches_its_one_owner_and_nothing_else_is_claimed(
    sandbox: RunningSandbox,
) -> None:
    found = states(sandbox, Kind.FINE_GRAINED_TOKEN, resource="acme")
    assert found["acme"] is OrganizationState.ACCESSIBLE
    assert {state for name, state in found.items() if name != "acme"} == {OrganizationState.UNKNOWN}


def test_a_mending_link_comes_with_the_state(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.OAUTH, ("repo",))
    facts = {fact.key: fact for fact in provider_in(sandbox, "github").organizations(given) or ()}
    web_url, client_id = sandbox.hosts["github"].web_url, sandbox.hosts["github"].client_id
    assert facts["assxxx"].url == f"{web_url}/settings/connections/applications/{client_id}"
    assert facts["sso-corp"].url.startswith(f"{web_url}/orgs/sso-corp/sso?")
    assert facts["sso-corp"].evidence == "GET /api/v3/user/memberships/orgs/sso-corp 403: X-GitHub-SSO"


def test_half_a_list_of_organizations_is_no_list() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        if "page=2" in seen.path:
            return json_reply({}, 502)
        item = {"organization": {"login": "acme"}}
        return json_reply([item], Link='<https://evil.example/?page=2>; rel="next"')

    with Server(script) as server, pytest.raises(ProviderUnreachable):
        provider_at(server, "github").organizations(login(Kind.PERSONAL_TOKEN))


@pytest.mark.parametrize("name", ["../../admin", "a/b", "..", "a b", "-x/../y", ""])
def test_an_organization_name_cannot_steer_the_next_request(name: str) -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        if "/user/memberships/orgs?" in seen.path:
            return json_reply([{"organization": {"login": name}}])
        return json_reply([])

    with Server(script) as server:
        assert provider_at(server, "github").organizations(login(Kind.PERSONAL_TOKEN)) == ()
    assert len(server.seen) == 4


# --- All at once: what the lists tell -----------------------------------------------------------------


def lists(
    *,
    own: list[object] | None = None,
    public: list[object] | None = None,
    graphql: object = None,
    probes: Callable[[str], Reply] = lambda key: json_reply({"state": "active"}),
    partial: str = "",
) -> Callable[[Seen], Reply]:
    """A GitHub with these lists; ``partial`` are the ids that the own memberships withhold."""

    def script(seen: Seen) -> Reply:
        path = seen.path.partition("?")[0]
        if path.endswith("/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        if path.endswith("/user/memberships/orgs"):
            header = f"partial-results; organizations={partial}" if partial else ""
            return json_reply(own or [], X_GitHub_SSO=header)
        if path.endswith("/users/octo-alice/orgs"):
            return json_reply(public or [])
        if path.endswith("/graphql"):
            return json_reply(graphql or {"data": None})
        return probes(path.rpartition("/")[2])

    return script


def board(script: Callable[[Seen], Reply], kind: Kind = Kind.OAUTH) -> dict[str, OrganizationFact]:
    with Server(script) as server:
        found = provider_at(server, "github").organizations(login(kind))
    return {fact.key: fact for fact in found or ()}


def forbidden(message: str, **extensions: bool) -> dict[str, object]:
    error = {"type": "FORBIDDEN", "path": ["viewer"], "extensions": extensions, "message": message}
    return {"data": {"viewer": {"organizations": {"nodes": [None]}}}, "errors": [error]}


def test_graphql_is_asked_at_its_own_place_with_the_token_in_a_header() -> None:
    with Server(lists()) as server:
        provider_at(server, "github").organizations(login(Kind.OAUTH))
    (seen,) = [seen for seen in server.seen if seen.method == "POST"]
    assert seen.path == "/api/graphql"
    assert seen.headers["Authorization"].startswith("Bearer ")
    assert "viewer" in json.loads(seen.body)["query"]


def test_graphql_names_a_private_membership_that_no_other_list_shows(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.OAUTH, ("repo", "read:org"))
    sandbox.control("github", "POST", "faults", {"path_prefix": "/api/v3/users/octo-alice/orgs", "body": "[]",
                                                 "status": 200, "content_type": "application/json"})  # fmt: skip
    found = {fact.key: fact for fact in provider_in(sandbox, "github").organizations(given) or ()}
    assert found["assxxx"].state is OrganizationState.NOT_APPROVED
    assert "sso-corp" not in found, "nothing names it: neither a list nor the error of GraphQL"


def test_a_refusal_that_graphql_names_outweighs_a_membership_that_is_shown() -> None:
    own: list[object] = [{"state": "active", "organization": {"login": "assxxx", "id": 5}}]
    fact = board(lists(own=own, graphql=forbidden(RESTRICTED)))["assxxx"]
    assert fact.state is OrganizationState.NOT_APPROVED
    assert fact.evidence == "POST /api/graphql 200: has enabled oauth app access restrictions"
    assert fact.url.endswith("/settings/connections/applications/client-1")


def test_a_saml_failure_that_names_its_organization_asks_for_single_sign_on() -> None:
    message = "the `corp` organization has an IP allow list enabled"
    fact = board(lists(graphql=forbidden(message, saml_failure=True)))["corp"]
    assert fact.state is OrganizationState.SSO_REQUIRED
    assert fact.url.endswith("/orgs/corp/sso")


def test_a_probe_that_fails_leaves_what_graphql_has_shown() -> None:
    shown = {"data": {"viewer": {"organizations": {"nodes": [{"login": "acme"}, None, {"login": "a/b"}]}}}}
    found = board(lists(graphql=shown, probes=lambda key: html_reply(502)))
    assert {key: fact.state for key, fact in found.items()} == {"acme": OrganizationState.ACCESSIBLE}
    assert found["acme"].evidence == "POST /api/graphql 200"


@pytest.mark.parametrize(
    "graphql",
    [
        {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 7."}]},
        {"errors": [{"type": "INSUFFICIENT_SCOPES", "message": "Your token has not been granted …"}]},
        {"errors": [{"type": "SOMETHING_ELSE", "message": RESTRICTED}]},
        {"errors": RESTRICTED},
        {"data": {"viewer": {"organizations": {"nodes": "acme"}}}},
        [],
    ],
)
def test_a_graphql_that_tells_nothing_changes_nothing(graphql: object) -> None:
    own: list[object] = [{"state": "active", "organization": {"login": "acme", "id": 5}}]
    found = board(lists(own=own, graphql=graphql))
    assert {key: fact.state for key, fact in found.items()} == {"acme": OrganizationState.ACCESSIBLE}


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_graphql_that_refuses_says_nothing_about_the_token(status: int) -> None:
    own: list[object] = [{"state": "active", "organization": {"login": "acme", "id": 5}}]

    def script(seen: Seen) -> Reply:
        return json_reply({"message": "no"}, status) if seen.method == "POST" else lists(own=own)(seen)

    assert board(script)["acme"].state is OrganizationState.ACCESSIBLE


def test_results_withheld_for_single_sign_on_are_told_of_whom_another_list_names() -> None:
    public: list[object] = [{"login": "sso-corp", "id": 5}]
    found = board(lists(public=public, partial="5,6"))
    assert list(found) == ["sso-corp"]
    assert found["sso-corp"].state is OrganizationState.SSO_REQUIRED
    assert found["sso-corp"].evidence == "GET /api/user/memberships/orgs 200: partial results"
    assert found["sso-corp"].url.endswith("/orgs/sso-corp/sso")


def test_an_invitation_is_no_membership_yet(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"members": {"octo-alice": "pending"}})
    given = login_in(sandbox, "github", Kind.OAUTH, ("repo",))
    provider = provider_in(sandbox, "github")
    fact = {fact.key: fact for fact in provider.organizations(given) or ()}["acme"]
    assert fact.state is OrganizationState.NO_MEMBERSHIP
    assert fact.evidence.endswith("/user/memberships/orgs 200: invitation pending")
    alone = provider.organization(given, "acme")
    assert alone is not None
    assert alone.state is OrganizationState.NO_MEMBERSHIP


def test_more_organizations_than_are_probed_are_known_by_graphql() -> None:
    names = [f"org-{number}" for number in range(40)]
    shown = {"data": {"viewer": {"organizations": {"nodes": [{"login": name} for name in names]}}}}
    own: list[object] = [{"state": "active", "organization": {"login": name}} for name in names]
    with Server(lists(own=own, graphql=shown)) as server:
        found = provider_at(server, "github").organizations(login(Kind.OAUTH)) or ()
    assert len(found) == 40
    assert {fact.state for fact in found} == {OrganizationState.ACCESSIBLE}
    assert len(server.seen) == 34


def test_an_owners_own_token_never_waits() -> None:
    own: list[object] = [{"state": "active", "role": "admin", "organization": {"login": "acme"}}]
    found = board(lists(own=own, probes=lambda key: json_reply([])), Kind.FINE_GRAINED_TOKEN)
    assert found["acme"].state is OrganizationState.UNKNOWN


def test_a_token_that_lists_several_memberships_was_made_for_none_of_them() -> None:
    own: list[object] = [
        {"state": "active", "role": "member", "organization": {"login": name}} for name in ("acme", "corp")
    ]
    found = board(lists(own=own, probes=lambda key: json_reply([])), Kind.FINE_GRAINED_TOKEN)
    assert {fact.state for fact in found.values()} == {OrganizationState.UNKNOWN}

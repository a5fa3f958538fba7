"""GitHub: what organizations answer to the user token of a GitHub App."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from credentials.errors import ProviderUnreachable
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

REFUSED = json_reply({"message": "You do not have access to this organization membership."}, 403)


def installation(login_name: str, **facts: object) -> dict[str, object]:
    return {
        "account": {"login": login_name, "id": 1, "type": "Organization"},
        "target_type": "Organization",
        "app_slug": "forgekey",
        "suspended_at": None,
        **facts,
    }


def serving(
    *installations: Mapping[str, object], membership: Reply = REFUSED, partial: str = "", link: str = ""
) -> Callable[[Seen], Reply]:
    """A GitHub where the app is installed there; the account is a member of acme (5), in public."""

    def script(seen: Seen) -> Reply:
        path = seen.path.partition("?")[0]
        if path.endswith("/user"):
            return json_reply({"id": 7, "login": "octo-alice"})
        if path.endswith("/user/installations"):
            header = f"partial-results; organizations={partial}" if partial else ""
            listed = {"total_count": len(installations), "installations": list(installations)}
            return json_reply(listed, X_GitHub_SSO=header, Link=link)
        if path.endswith("/users/octo-alice/orgs"):
            return json_reply([{"login": "acme", "id": 5}])
        if path.endswith("/user/memberships/orgs"):
            return json_reply({"message": "Resource not accessible by integration"}, 403)
        if "/user/memberships/orgs/" in path:
            return membership
        name = path.rpartition("/")[2]
        return json_reply({"login": name, "id": 5 if name == "acme" else 6})

    return script


def board(script: Callable[[Seen], Reply]) -> dict[str, OrganizationFact]:
    with Server(script) as server:
        found = provider_at(server, "github").organizations(login(Kind.APP_TOKEN))
    return {fact.key: fact for fact in found or ()}


def one(script: Callable[[Seen], Reply], key: str) -> OrganizationFact:
    with Server(script) as server:
        found = provider_at(server, "github").organization(login(Kind.APP_TOKEN), key)
    assert found is not None
    return found


def test_who_installed_the_app_lets_it_in_and_who_did_not_is_asked_to(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.APP_TOKEN)
    provider = provider_in(sandbox, "github")
    found = {fact.key: fact for fact in provider.organizations(given) or ()}
    assert {key for key, fact in found.items() if fact.state is OrganizationState.ACCESSIBLE} == {
        "acme",
        "sso-corp",
        "locked-corp",
    }
    missing = found["assxxx"]
    assert missing.state is OrganizationState.NOT_APPROVED
    assert missing.evidence == "GET /api/v3/user/installations 200: not installed"
    assert missing.url == f"{sandbox.hosts['github'].web_url}/apps/forgekey-app/installations/new"
    for key, fact in found.items():
        assert provider.organization(given, key) == fact


def test_an_installation_opens_the_organization(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.APP_TOKEN)
    provider = provider_in(sandbox, "github")
    before = provider.organization(given, "assxxx")
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    after = provider.organization(given, "ASSXXX")
    assert before is not None
    assert after is not None
    assert (before.state.value, after.state.value) == ("not_approved", "accessible")


def test_who_is_outside_has_no_membership(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/assxxx", {"members": {"octo-alice": "none"}})
    found = provider_in(sandbox, "github").organization(login_in(sandbox, "github", Kind.APP_TOKEN), "assxxx")
    assert found is not None
    assert found.state is OrganizationState.NO_MEMBERSHIP


@pytest.mark.parametrize(("origin", "kept"), [("own", True), ("https://evil.example", False), ("", False)])
def test_a_suspended_installation_is_a_policy_with_its_page(origin: str, kept: bool) -> None:
    def script(seen: Seen) -> Reply:
        start = f"http://{seen.headers['Host']}" if origin == "own" else origin
        page = f"{start}/organizations/acme/settings/installations/1" if start else None
        return serving(installation("acme", suspended_at="2026-11-01T00:00:00Z", html_url=page))(seen)

    found = board(script)["acme"]
    assert found.state is OrganizationState.POLICY_BLOCKED
    assert found.evidence == "GET /api/user/installations 200: suspended"
    assert found.url.endswith("/organizations/acme/settings/installations/1") is kept
    assert bool(found.url) is kept


def test_an_installation_for_a_person_is_no_organization() -> None:
    person = {"account": {"login": "octo-bob", "type": "User"}, "target_type": "User"}
    assert list(board(serving(person, installation("acme"), {"account": None}))) == ["acme"]


def test_without_any_installation_the_page_of_the_app_is_not_known() -> None:
    found = board(serving())["acme"]
    assert (found.state, found.url) == (OrganizationState.NOT_APPROVED, "")


def test_single_sign_on_that_withholds_an_installation_is_named() -> None:
    script = serving(partial="5")
    assert board(script)["acme"].state is OrganizationState.SSO_REQUIRED
    assert one(script, "acme").state is OrganizationState.SSO_REQUIRED
    assert one(script, "acme").url.endswith("/orgs/acme/sso")


def test_a_list_that_does_not_end_proves_no_absence() -> None:
    script = serving(link='<https://api.github.com/?page=2>; rel="next"')
    assert board(script)["acme"].state is OrganizationState.UNKNOWN
    assert one(script, "acme").state is OrganizationState.UNKNOWN


@pytest.mark.parametrize(
    ("membership", "key", "state"),
    [
        (json_reply({"message": "Not Found"}, 404), "acme", OrganizationState.NOT_APPROVED),
        (json_reply({"message": "Not Found"}, 404), "corp", OrganizationState.NO_MEMBERSHIP),
        (json_reply({"state": "pending"}), "corp", OrganizationState.NO_MEMBERSHIP),
        (json_reply({"state": "active"}), "corp", OrganizationState.NOT_APPROVED),
        (REFUSED, "corp", OrganizationState.NOT_APPROVED),
    ],
)
def test_a_missing_installation_of_a_stranger_is_no_request_to_make(
    membership: Reply, key: str, state: OrganizationState
) -> None:
    assert one(serving(membership=membership), key).state is state


def test_a_token_that_may_not_list_installations_is_asked_nothing_more(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    given = login(Kind.APP_TOKEN, token=minted.token)
    assert provider_in(sandbox, "github").organizations(given) is None


def test_an_outage_is_no_missing_installation() -> None:
    with Server(lambda seen: html_reply(502)) as server:
        provider = provider_at(server, "github")
        with pytest.raises(ProviderUnreachable):
            provider.organizations(login(Kind.APP_TOKEN))
        found = provider.organization(login(Kind.APP_TOKEN), "acme")
    assert found is not None
    assert found.state is OrganizationState.UNKNOWN

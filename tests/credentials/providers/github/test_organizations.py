"""GitHub: what one organization answers to a classic, OAuth or fine-grained token."""

from __future__ import annotations

import pytest

from credentials.errors import TokenRejected
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import login, login_in, provider_in
from tests.sandbox import RunningSandbox

CLASSIC = (Kind.PERSONAL_TOKEN, Kind.OAUTH)


def one(
    sandbox: RunningSandbox, key: str, kind: Kind, scopes: tuple[str, ...] = ("repo",), **minting: object
) -> OrganizationFact | None:
    given = login_in(sandbox, "github", kind, scopes, **minting)  # type: ignore[arg-type]  # passed through
    return provider_in(sandbox, "github").organization(given, key)


@pytest.mark.parametrize("scopes", [("repo",), ("repo", "read:org")])
@pytest.mark.parametrize("kind", CLASSIC)
def test_one_organization_answers_as_it_does_among_all(
    sandbox: RunningSandbox, kind: Kind, scopes: tuple[str, ...]
) -> None:
    given = login_in(sandbox, "github", kind, scopes)
    provider = provider_in(sandbox, "github")
    together = {fact.key: fact.state for fact in provider.organizations(given) or ()}
    assert set(together) == {"acme", "assxxx", "sso-corp", "locked-corp"}
    for key, state in together.items():
        alone = provider.organization(given, key)
        assert alone is not None
        assert alone.state is state, key


@pytest.mark.parametrize(
    ("switches", "kind", "state", "wording"),
    [
        ({"approved": False}, Kind.OAUTH, "not_approved", "has enabled oauth app access restrictions"),
        ({"ip_allow_list": True}, Kind.OAUTH, "ip_blocked", "ip allow list enabled"),
        ({"sso": True}, Kind.PERSONAL_TOKEN, "sso_required", "X-GitHub-SSO"),
        (
            {"classic_tokens": False},
            Kind.PERSONAL_TOKEN,
            "policy_blocked",
            "forbids access via a personal access token (classic)",
        ),
        (
            {"fine_grained_tokens": False},
            Kind.FINE_GRAINED_TOKEN,
            "policy_blocked",
            "forbids access via a fine-grained personal access token",
        ),
        (
            {"fine_grained_max_days": 7},
            Kind.FINE_GRAINED_TOKEN,
            "policy_blocked",
            "personal access tokens if the token's lifetime",
        ),
    ],
)
def test_every_refusal_is_told_apart_with_its_wording_and_its_page(
    sandbox: RunningSandbox, switches: dict[str, object], kind: Kind, state: str, wording: str
) -> None:
    sandbox.control("github", "POST", "organizations/acme", switches)
    found = one(sandbox, "acme", kind, resource="acme")
    assert found is not None
    assert (found.state.value, found.evidence.partition(": ")[2]) == (state, wording)
    assert bool(found.url) is (state != "ip_blocked")
    assert found.url == "" or found.url.startswith(f"{sandbox.hosts['github'].web_url}/")


def test_the_lifetime_cap_leads_to_the_tokens_own_settings(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"fine_grained_max_days": 7})
    found = one(sandbox, "acme", Kind.FINE_GRAINED_TOKEN, resource="acme")
    assert found is not None
    page, _slash, number = found.url.rpartition("/")
    assert page == f"{sandbox.hosts['github'].web_url}/settings/personal-access-tokens"
    assert number.isdecimal()


@pytest.mark.parametrize("key", ["octo-alice", "octo-bob", "no-such-organization", "..", "a/b", ""])
@pytest.mark.parametrize("kind", [*CLASSIC, Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN])
def test_what_is_no_organization_has_no_answer(sandbox: RunningSandbox, kind: Kind, key: str) -> None:
    assert one(sandbox, key, kind, resource="acme") is None


@pytest.mark.parametrize("kind", CLASSIC)
def test_who_is_outside_has_no_membership(sandbox: RunningSandbox, kind: Kind) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"members": {"octo-alice": "none"}})
    found = one(sandbox, "acme", kind)
    assert found is not None
    assert found.state is OrganizationState.NO_MEMBERSHIP
    assert found.evidence == "GET /api/v3/user/memberships/orgs/acme 404; GET /api/v3/orgs/acme 200"


@pytest.mark.parametrize("scopes", [("repo",), ("repo", "read:org")])
def test_a_restriction_that_hides_itself_is_found_all_the_same(
    sandbox: RunningSandbox, scopes: tuple[str, ...]
) -> None:
    sandbox.control("github", "POST", "settings", {"restriction_as_not_found": True})
    given = login_in(sandbox, "github", Kind.OAUTH, scopes)
    provider = provider_in(sandbox, "github")
    alone = provider.organization(given, "assxxx")
    together = {fact.key: fact for fact in provider.organizations(given) or ()}["assxxx"]
    for fact in (alone, together):
        assert fact is not None
        assert fact.state is OrganizationState.NOT_APPROVED
        assert "/settings/connections/applications/" in fact.url


def test_without_the_scope_to_ask_nothing_is_known(sandbox: RunningSandbox) -> None:
    found = one(sandbox, "acme", Kind.PERSONAL_TOKEN, ("gist",))
    assert found is not None
    assert found.state is OrganizationState.UNKNOWN
    assert one(sandbox, "no-such-organization", Kind.PERSONAL_TOKEN, ("gist",)) is None


def test_a_revoked_token_ends_the_question(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint("github", "octo-alice", "oauth", ["repo"])
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    with pytest.raises(TokenRejected):
        provider_in(sandbox, "github").organization(login(Kind.OAUTH, token=minted.token), "acme")


# --- Fine-grained tokens that wait for an owner -------------------------------------------------------


def waiting(sandbox: RunningSandbox, key: str) -> OrganizationFact:
    sandbox.control("github", "POST", f"organizations/{key}", {"fine_grained_approval": True})
    found = one(sandbox, key, Kind.FINE_GRAINED_TOKEN, ("contents:read",), resource=key)
    assert found is not None
    return found


def test_a_fine_grained_token_of_a_member_that_shows_nothing_waits_for_approval(
    sandbox: RunningSandbox,
) -> None:
    found = waiting(sandbox, "assxxx")
    assert found.state is OrganizationState.TOKEN_PENDING
    assert found.evidence == (
        "GET /api/v3/orgs/assxxx/repos 200: none private, though the token was made for this organization"
    )


def test_a_fine_grained_token_says_nothing_of_other_organizations(sandbox: RunningSandbox) -> None:
    found = one(sandbox, "assxxx", Kind.FINE_GRAINED_TOKEN, ("contents:read",), resource="acme")
    assert found is not None
    assert found.state is OrganizationState.UNKNOWN


def test_an_approval_opens_the_organization(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/assxxx", {"fine_grained_approval": True})
    minted = sandbox.mint("github", "octo-alice", "fine_grained_token", ["contents:read"], resource="assxxx")
    given = login(Kind.FINE_GRAINED_TOKEN, token=minted.token)
    provider = provider_in(sandbox, "github")
    before = provider.organization(given, "assxxx")
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"pending": False})
    after = provider.organization(given, "assxxx")
    assert before is not None
    assert after is not None
    assert (before.state, after.state) == (OrganizationState.TOKEN_PENDING, OrganizationState.ACCESSIBLE)

"""What GitHub's lists say of an account's organizations before any of them is asked itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from credentials.errors import AccessRefused, ProviderError, ScopeMissing
from credentials.providers.answers import Answer
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.providers.github.api import GitHubApi, Listing
from credentials.providers.github.links import LOGIN
from credentials.providers.github.wordings import SIGN_ON_WANTED, Refusal, read_refusal
from credentials.providers.http import path_segment
from credentials.providers.probing import organization_state
from credentials.providers.reading import identifier, member, objects, text
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

_QUERY = "query { viewer { organizations(first: 100) { nodes { login } } } }"


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """One organization of the account as a list names it; ``number`` is its immutable id."""

    key: str
    number: str
    pending: bool = False
    administers: bool = False


def fact(key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
    return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=url)


def refused_fact(key: str, problem: ProviderError) -> OrganizationFact:
    """What a failed question says: the refusal it was, or nothing."""
    url = problem.url if isinstance(problem, AccessRefused) else ""
    return fact(key, organization_state(problem), problem.evidence, url)


def is_not_found(problem: ProviderError) -> bool:
    return isinstance(problem, AccessRefused) and problem.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS


def own_organizations(api: GitHubApi, login: Login) -> Listing:
    """Invitations that wait for an answer are among them. Fine-grained tokens may lack the permission.

    https://docs.github.com/rest/orgs/members#list-organization-memberships-for-the-authenticated-user
    """
    if login.kind is Kind.FINE_GRAINED_TOKEN:
        with suppress(ScopeMissing):
            return api.listed(login, "/user/memberships/orgs")
        return Listing()
    return api.listed(login, "/user/memberships/orgs")


def public_organizations(api: GitHubApi, login: Login, account: str) -> Listing:
    """https://docs.github.com/rest/orgs/orgs#list-organizations-for-a-user"""
    if not LOGIN.fullmatch(account):
        return Listing()
    return api.listed(login, f"/users/{path_segment(account)}/orgs")


def memberships(listing: Listing) -> dict[str, Membership]:
    """Both lists' entries; an own one holds the organization, a public one is it."""
    found: dict[str, Membership] = {}
    for item in listing.items:
        organization = item.get("organization", item)
        key = text(organization, "login")
        if LOGIN.fullmatch(key):
            found[key.lower()] = Membership(
                key=key,
                number=identifier(organization, "id"),
                pending=text(item, "state") == "pending",
                administers=text(item, "role") == "admin",
            )
    return found


def invited(key: str, evidence: str) -> OrganizationFact:
    return fact(key, OrganizationState.NO_MEMBERSHIP, f"{evidence}: invitation pending")


def told_by_headers(api: GitHubApi, *listings: Listing) -> dict[str, OrganizationFact]:
    """Who kept results back for want of single sign-on, as far as another list knows the id."""
    named = {item.number: item for listing in listings for item in memberships(listing).values()}
    return {
        named[number].key.lower(): fact(
            named[number].key,
            OrganizationState.SSO_REQUIRED,
            f"{listing.evidence}: partial results",
            api.links.single_sign_on(named[number].key),
        )
        for listing in listings
        for number in sorted(listing.withheld)
        if number in named
    }


def told_by_graphql(api: GitHubApi, login: Login) -> dict[str, OrganizationFact]:
    """What GraphQL tells of all organizations at once: it names those that refuse, in ``errors``.

    This is comfort: a token without ``read:org``, a server without GraphQL or a quota spent only there
    leave the other lists as they are. To a fine-grained token it shows organizations that show nothing.
    https://docs.github.com/graphql/reference/objects#user
    """
    try:
        answer = api.graphql(login, _QUERY)
    except ProviderError:
        return {}
    found: dict[str, OrganizationFact] = {}
    for node in objects(member(answer.json, "data", "viewer", "organizations", "nodes")):
        key = text(node, "login")
        if LOGIN.fullmatch(key) and login.kind is not Kind.FINE_GRAINED_TOKEN:
            found[key.lower()] = fact(key, OrganizationState.ACCESSIBLE, answer.evidence)
    for error in objects(member(answer.json, "errors")):
        refusal = read_refusal(error.get("message"))
        if text(error, "type") == "FORBIDDEN" and refusal and LOGIN.fullmatch(refusal.organization):
            found[refusal.organization.lower()] = _forbidden(api, answer, error, refusal)
    return found


def _forbidden(
    api: GitHubApi, answer: Answer, error: Mapping[str, object], refusal: Refusal
) -> OrganizationFact:
    wants_sign_on = member(error, "extensions", "saml_failure") is True
    if wants_sign_on:
        refusal = Refusal(
            code=VerdictCode.SSO_REQUIRED, wording=SIGN_ON_WANTED, organization=refusal.organization
        )
    evidence = f"{answer.evidence}: {refusal.wording}"
    problem = AccessRefused(
        "an organization refuses",
        status=answer.status,
        evidence=evidence,
        verdict_code=refusal.code,
        url=api.mending_page(refusal, answer),
    )
    return refused_fact(refusal.organization, problem)

"""What GitHub's organizations answer to the user token of a GitHub App: whoever installed the app lets it in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from credentials.errors import (
    ProviderError,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.base import unexplained
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.providers.github.api import GitHubApi, Listing
from credentials.providers.github.links import LOGIN
from credentials.providers.github.memberships import (
    Membership,
    fact,
    invited,
    is_not_found,
    memberships,
    public_organizations,
)
from credentials.providers.github.organizations import organization_profile
from credentials.providers.http import path_segment
from credentials.providers.reading import identifier, member, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Installations:
    """Where the app is installed, by names in lower case; ``slug`` is the app's own name in addresses."""

    listing: Listing
    facts: Mapping[str, OrganizationFact]
    slug: str

    def absent(self, api: GitHubApi, item: Membership) -> OrganizationFact:
        """What it means that an organization is not among them; unknown where the list may be short."""
        evidence = self.listing.evidence
        if item.number and item.number in self.listing.withheld:
            url = api.links.single_sign_on(item.key)
            return fact(item.key, OrganizationState.SSO_REQUIRED, f"{evidence}: partial results", url)
        if not self.listing.complete or (self.listing.withheld and not item.number):
            return fact(item.key, OrganizationState.UNKNOWN, f"{evidence}: not all are listed")
        url = api.links.installation(self.slug)
        return fact(item.key, OrganizationState.NOT_APPROVED, f"{evidence}: not installed", url)


def board(api: GitHubApi, login: Login) -> tuple[OrganizationFact, ...] | None:
    """The organizations that installed the app, and those of the account that did not."""
    try:
        found = _installations(api, login)
        account = text(api.get("/user", login=login).json, "login")
        listed = memberships(public_organizations(api, login, account))
    except ScopeMissing:
        return None
    with suppress(ScopeMissing):  # wants a permission that an app for reading repositories has no use for
        listed.update(memberships(api.listed(login, "/user/memberships/orgs")))
    without = [item for name, item in listed.items() if name not in found.facts and not item.pending]
    return (*found.facts.values(), *(found.absent(api, item) for item in without))


def _installations(api: GitHubApi, login: Login) -> Installations:
    """https://docs.github.com/rest/apps/installations#list-app-installations-accessible-to-the-user-access-token"""
    listing = api.listed(login, "/user/installations", within="installations")
    facts: dict[str, OrganizationFact] = {}
    for item in listing.items:
        key = text(item, "account", "login")
        target = text(item, "target_type") or text(item, "account", "type")
        if target == "Organization" and LOGIN.fullmatch(key):
            facts[key.lower()] = _installed(api, listing, key, item)
    slugs = [slug for slug in (text(item, "app_slug") for item in listing.items) if slug]
    return Installations(listing=listing, facts=facts, slug=slugs[0] if slugs else "")


def _installed(api: GitHubApi, listing: Listing, key: str, item: Mapping[str, object]) -> OrganizationFact:
    if item.get("suspended_at") is None:
        return fact(key, OrganizationState.ACCESSIBLE, f"{listing.evidence}: installed")
    url = api.own_url(text(item, "html_url"))
    return fact(key, OrganizationState.POLICY_BLOCKED, f"{listing.evidence}: suspended", url)


def single(api: GitHubApi, login: Login, key: str) -> OrganizationFact | None:
    """One organization; None where there is none. Raises any ProviderError."""
    found = _installations(api, login)
    if key.lower() in found.facts:
        return found.facts[key.lower()]
    profile = organization_profile(api, login, key)
    if profile is None:
        return None
    number = identifier(profile.json, "id")
    if not number:
        raise unexplained(profile)
    if (stranger := _stranger(api, login, key)) is not None:
        return stranger
    return found.absent(api, Membership(key=key, number=number))


def _stranger(api: GitHubApi, login: Login, key: str) -> OrganizationFact | None:
    """The account is outside of the organization, or was only invited; None where it is in, or not told.

    https://docs.github.com/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user
    """
    try:
        answer = api.get(f"/user/memberships/orgs/{path_segment(key)}", login=login)
    except TokenRejected:
        raise
    except ProviderError as problem:
        if not is_not_found(problem):
            return None
        account = text(api.get("/user", login=login).json, "login")
        if key.lower() in memberships(public_organizations(api, login, account)):
            return None
        return fact(key, OrganizationState.NO_MEMBERSHIP, problem.evidence)
    if member(answer.json, "state") == "pending":
        return invited(key, answer.evidence)
    return None

"""What GitHub's organizations answer to a classic, OAuth or fine-grained token."""

from __future__ import annotations

from collections.abc import Mapping

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ScopeMissing,
)
from credentials.providers.answers import Answer
from credentials.providers.base import unexplained
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.providers.github.api import GitHubApi
from credentials.providers.github.memberships import (
    Membership,
    fact,
    invited,
    is_not_found,
    memberships,
    own_organizations,
    public_organizations,
    refused_fact,
    told_by_graphql,
    told_by_headers,
)
from credentials.providers.http import path_segment
from credentials.providers.probing import probe_each
from credentials.providers.reading import objects, text
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

_SHOWN = frozenset({OrganizationState.ACCESSIBLE, OrganizationState.UNKNOWN})


def board(api: GitHubApi, login: Login) -> tuple[OrganizationFact, ...] | None:
    """Every organization the account is known to belong to, each with the answer of one probe.

    Several lists, because each hides something: the own memberships (which ``repo`` may list, unlike
    ``/user/orgs``) leave out what refuses this very token, the public ones leave out private memberships,
    and GraphQL wants more scopes but names who refuses. What a list refused outweighs a probe that passed.
    """
    try:
        account = text(api.get("/user", login=login).json, "login")
        own_list = own_organizations(api, login)
        public_list = public_organizations(api, login, account)
    except ScopeMissing:
        return None
    own, public = memberships(own_list), memberships(public_list)
    told = {**told_by_graphql(api, login), **told_by_headers(api, own_list, public_list)}
    waiting = [item for item in own.values() if item.pending]
    names = {name: item.key for name, item in told.items()}
    names |= {name: item.key for name, item in [*public.items(), *own.items()]}
    asked = [names[name] for name in {**own, **public, **told} if not (name in own and own[name].pending)]
    if not names and login.kind is Kind.FINE_GRAINED_TOKEN:
        return None
    facts = probe_each(asked, ask=lambda key: _probe(api, login, key, own=own, public=public), fact=fact)
    return (
        *(_weighed(item, told.get(item.key.lower())) for item in facts),
        *(invited(item.key, own_list.evidence) for item in waiting),
    )


def single(api: GitHubApi, login: Login, key: str) -> OrganizationFact | None:
    """One organization; None where there is none. Raises any ProviderError."""
    if login.kind is Kind.FINE_GRAINED_TOKEN:
        return _single_limited(api, login, key)
    return _single(api, login, key)


def _weighed(probed: OrganizationFact, told: OrganizationFact | None) -> OrganizationFact:
    """A refusal outweighs an answer, and an answer outweighs none."""
    if told is None or probed.state not in _SHOWN:
        return probed
    if told.state is OrganizationState.ACCESSIBLE and probed.state is not OrganizationState.UNKNOWN:
        return probed
    return told


def _probe(
    api: GitHubApi,
    login: Login,
    key: str,
    *,
    own: Mapping[str, Membership],
    public: Mapping[str, Membership],
) -> Answer:
    """The own membership is refused where the organization refuses; its profile would be public."""
    if login.kind is Kind.FINE_GRAINED_TOKEN:
        return _probe_limited(api, login, key, own)
    try:
        answer = _membership(api, login, key)
    except AccessRefused as problem:
        if is_not_found(problem) and login.kind is Kind.OAUTH and key.lower() in public:
            raise _restricted(api, problem) from problem
        raise
    if text(answer.json, "state") != "active":
        raise unexplained(answer)
    return answer


def _membership(api: GitHubApi, login: Login, key: str) -> Answer:
    """https://docs.github.com/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user"""
    return api.get(f"/user/memberships/orgs/{path_segment(key)}", login=login)


def _restricted(api: GitHubApi, problem: AccessRefused) -> AccessRefused:
    """A member in public who is not found in private: the organization hides itself from the app."""
    return AccessRefused(
        "the organization hides a membership that is public",
        status=problem.status,
        evidence=f"{problem.evidence}: hidden from a public member",
        verdict_code=VerdictCode.ORGANIZATION_NOT_APPROVED,
        url=api.links.request(api.host.client_id),
    )


def _probe_limited(api: GitHubApi, login: Login, key: str, own: Mapping[str, Membership]) -> Answer:
    """A fine-grained token reaches one owner. It may see memberships anywhere, so only a private
    repository proves anything; the membership is asked for because policies answer there.

    Until an owner approves such a token it sees public data only, which no call tells from an organization
    that has nothing private. It is said to wait only where the list of memberships names this organization
    and no other, for which it was made then, and belongs to a member: an owner's own needs no approval.
    https://docs.github.com/rest/repos/repos#list-organization-repositories
    """
    try:
        _membership(api, login, key)
    except ScopeMissing:
        pass
    except AccessRefused as problem:
        if not is_not_found(problem):
            raise
    answer = api.get(
        f"/orgs/{path_segment(key)}/repos", login=login, params={"type": "private", "per_page": 30}
    )
    if any(item.get("private") is True for item in objects(answer.json)):
        return answer
    if not isinstance(answer.json, list):
        raise unexplained(answer)
    mine = own.get(key.lower())
    if mine is not None and len(own) == 1 and not mine.pending and not mine.administers:
        raise AccessRefused(
            "a fine-grained token shows nothing private of its owner",
            status=answer.status,
            evidence=f"{answer.evidence}: none private, though the token was made for this organization",
            verdict_code=VerdictCode.TOKEN_PENDING,
        )
    raise ProviderAnswerUnexpected(
        "nothing private is shown", status=answer.status, evidence=f"{answer.evidence}: none private"
    )


def _single(api: GitHubApi, login: Login, key: str) -> OrganizationFact | None:
    try:
        answer = _membership(api, login, key)
    except (ScopeMissing, AccessRefused) as problem:
        if isinstance(problem, AccessRefused) and not is_not_found(problem):
            raise
        return _unaffiliated(api, login, key, problem)
    state = text(answer.json, "state")
    if state == "pending":
        return invited(key, answer.evidence)
    if state != "active":
        raise unexplained(answer)
    shown = fact(key, OrganizationState.ACCESSIBLE, answer.evidence)
    return _weighed(shown, told_by_graphql(api, login).get(key.lower()))


def _unaffiliated(
    api: GitHubApi, login: Login, key: str, problem: ScopeMissing | AccessRefused
) -> OrganizationFact | None:
    """No membership is shown: there is no such organization, or the account is outside of it, or the
    organization hides itself from an OAuth app."""
    profile = organization_profile(api, login, key)
    if profile is None:
        return None
    if isinstance(problem, ScopeMissing):
        return fact(key, OrganizationState.UNKNOWN, problem.evidence)
    if login.kind is Kind.OAUTH:
        told = told_by_graphql(api, login).get(key.lower())
        if told is not None:
            return told
        account = text(api.get("/user", login=login).json, "login")
        if key.lower() in memberships(public_organizations(api, login, account)):
            return refused_fact(key, _restricted(api, problem))
    return fact(key, OrganizationState.NO_MEMBERSHIP, f"{problem.evidence}; {profile.evidence}")


def organization_profile(api: GitHubApi, login: Login, key: str) -> Answer | None:
    """The public profile, or None where there is no such organization.

    https://docs.github.com/rest/orgs/orgs#get-an-organization
    """
    try:
        answer = api.get(f"/orgs/{path_segment(key)}", login=login)
    except AccessRefused as problem:
        if is_not_found(problem):
            return None
        raise
    if text(answer.json, "login").lower() != key.lower():
        raise unexplained(answer)
    return answer


def _single_limited(api: GitHubApi, login: Login, key: str) -> OrganizationFact | None:
    own = memberships(own_organizations(api, login))
    try:
        answer = _probe_limited(api, login, key, own)
    except AccessRefused as problem:
        if is_not_found(problem):
            return None
        raise
    return fact(key, OrganizationState.ACCESSIBLE, answer.evidence)

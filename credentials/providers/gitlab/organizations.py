"""GitLab's groups: which a token sees, what one answers, and where its single sign-on is."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from credentials.errors import (
    AccessRefused,
    ProviderError,
    ProviderRateLimited,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, unexplained
from credentials.providers.facts import Login, OrganizationFact, OrganizationLinks, OrganizationState
from credentials.providers.gitlab.repositories import ASSOCIATED, ASSOCIATIONS, has_next_page, is_name
from credentials.providers.http import path_segment
from credentials.providers.probing import probe_one
from credentials.providers.reading import member, objects, text
from credentials.providers.tokens import Kind

_PER_PAGE = 100
_PAGES = 10
_GUEST = 10


class GitLabOrganizations(Provider):
    """The part of GitLab that knows groups. No group approves apps one by one, but it may ask for SSO."""

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """Groups where the scopes let us list them, else what the token itself is associated with.

        https://docs.gitlab.com/api/groups/#list-groups needs ``read_api``;
        https://docs.gitlab.com/api/personal_access_tokens/#list-all-token-associations (since 17.4) needs
        no scope but a token of the personal family.
        """
        try:
            return self._listed(login, "/groups", None)
        except ScopeMissing:
            if login.kind is Kind.OAUTH:
                return None
        try:
            return self._listed(login, ASSOCIATIONS, "groups")
        except (ScopeMissing, AccessRefused):  # refused, or a server older than the call
            return None

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """https://docs.gitlab.com/api/groups/#get-a-single-group needs ``read_api``; with less, whether the
        token is associated with the group. A person's own namespace is no group, and answers 404 here."""
        if not _is_key(key):
            return None
        try:
            return self._asked(login, key)
        except ScopeMissing as problem:
            if login.kind is Kind.OAUTH:
                return self._named(key, OrganizationState.UNKNOWN, problem.evidence)
        try:
            found = self._listed(login, ASSOCIATIONS, "groups")
        except (TokenRejected, ProviderRateLimited):
            raise
        except ProviderError as problem:
            return self._named(key, OrganizationState.UNKNOWN, problem.evidence)
        mine = next((fact for fact in found if fact.key.lower() == key.lower()), None)
        # Not being listed may as well mean single sign-on, or that the name is a person's.
        return mine or self._named(key, OrganizationState.UNKNOWN, f"GET {ASSOCIATIONS} 200: not listed")

    def _asked(self, login: Login, key: str) -> OrganizationFact | None:
        def ask(name: str) -> Answer:
            answer = self.ask(
                "GET", f"/groups/{path_segment(name)}", login=login, params={"with_projects": "false"}
            )
            if text(answer.json, "full_path").lower() != name.lower():
                raise unexplained(answer)
            return answer

        return probe_one(key, ask=ask, fact=self._named, through=ScopeMissing)

    def organization_links(self, key: str, *, kind: Kind, client_id: str) -> OrganizationLinks:
        """https://docs.gitlab.com/user/group/saml_sso/: it belongs to the topmost group, and does not concern
        the tokens of projects and groups."""
        if kind is Kind.ACCESS_TOKEN:
            return OrganizationLinks()
        top = quote(key.partition("/")[0], safe="")
        return OrganizationLinks(sso=f"{self.host.web_url}/groups/{top}/-/saml/sso")

    def _listed(self, login: Login, path: str, name: str | None) -> tuple[OrganizationFact, ...]:
        facts: dict[str, OrganizationFact] = {}
        for page in range(1, _PAGES + 1):
            answer = self.ask(
                "GET",
                path,
                login=login,
                params={"min_access_level": _GUEST, "per_page": _PER_PAGE, "page": page},
            )
            found = member(answer.json, name) if name else answer.json
            if not isinstance(found, list):
                raise unexplained(answer)
            for group in objects(found):
                fact = self._group(group, answer)
                facts[fact.key] = fact
            # The headers of the associations count their projects, so a full page of groups may go on.
            is_full = name is not None and len(found) >= ASSOCIATED
            if not has_next_page(answer) and not is_full:
                break
        facts.pop("", None)
        return tuple(facts.values())

    def _group(self, group: Mapping[str, object], answer: Answer) -> OrganizationFact:
        return OrganizationFact(
            key=text(group, "full_path") or _path_of(text(group, "web_url")),
            name=text(group, "full_name") or text(group, "name"),
            state=OrganizationState.ACCESSIBLE,
            evidence=answer.evidence,
            url=self.own_url(text(group, "web_url")),
        )

    def _named(self, key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
        page = url or f"{self.host.web_url}/groups/{quote(key)}"
        return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=page)


def _is_key(key: str) -> bool:
    return all(is_name(name) for name in key.split("/"))


def _path_of(web_url: str) -> str:
    """Associations name a group only by its page, ``https://host/groups/acme/sub``."""
    try:
        path = unquote(urlsplit(web_url).path)
    except ValueError:
        return ""
    key = path.rpartition("/groups/")[2] if "/groups/" in path else ""
    return key if _is_key(key) else ""

"""Bitbucket's workspaces: which an account has, and what one answers to a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from credentials.errors import AccessRefused, ScopeMissing
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, unexplained
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.providers.http import path_segment
from credentials.providers.probing import probe_each, probe_one
from credentials.providers.reading import identifier, member, objects
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

_PAGE_LENGTH = 100
_PAGES = 10
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def values_of(answer: Answer) -> list[Mapping[str, object]]:
    """The objects of one page of a list."""
    values = member(answer.json, "values")
    if not isinstance(values, list):
        raise unexplained(answer)
    return objects(values)


def has_next_page(answer: Answer) -> bool:
    """Only whether there is one: its address is the provider's word, and not followed."""
    return isinstance(member(answer.json, "next"), str)


class BitbucketOrganizations(Provider):
    """The part of Bitbucket that knows workspaces."""

    bearers: ClassVar[frozenset[Kind]] = frozenset({Kind.OAUTH, Kind.ACCESS_TOKEN})
    """What is shown alone; all others go with the account's e-mail address."""

    def require_email(self, login: Login) -> None:
        """Raises AccessRefused where a token came without the address that goes with it."""
        if login.kind not in self.bearers and not login.email:
            raise AccessRefused(
                "the e-mail address is needed too",
                evidence="nothing was asked",
                verdict_code=VerdictCode.EMAIL_REQUIRED,
            )

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """The account's workspaces, each with the answer of one probe: a token may be bound to only one.

        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/ (CHANGE-3022; the older
        listings answer 410 since CHANGE-2770).
        """
        try:
            workspaces = self.workspaces(login)
        except (ScopeMissing, AccessRefused):
            return None
        return probe_each(workspaces, ask=lambda slug: self._probe(login, slug), fact=self._workspace)

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """One workspace, a person's own included, asked for with the scope that Git wants as well.

        No source tells what a workspace says that keeps a token out, so a bare 403 stays unknown.
        """
        if not _SLUG.fullmatch(key) or not key.strip("."):
            return None
        return probe_one(key, ask=lambda slug: self._probe(login, slug), fact=self._workspace)

    def _probe(self, login: Login, slug: str) -> Answer:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""
        self.require_email(login)
        answer = self.ask("GET", f"/repositories/{path_segment(slug)}", login=login, params={"pagelen": 1})
        values_of(answer)
        return answer

    def workspaces(self, login: Login) -> tuple[str, ...]:
        """The slugs of the account's workspaces; raises ScopeMissing where they may not be asked for."""
        slugs: list[str] = []
        for page in range(1, _PAGES + 1):
            answer = self.ask(
                "GET", "/user/workspaces", login=login, params={"pagelen": _PAGE_LENGTH, "page": page}
            )
            slugs += [identifier(value, "workspace", "slug") for value in values_of(answer)]
            if not has_next_page(answer):
                break
        return tuple(dict.fromkeys(slug for slug in slugs if slug.strip(".")))

    def _workspace(
        self, key: str, state: OrganizationState, evidence: str, url: str = ""
    ) -> OrganizationFact:
        page = url or f"{self.host.web_url}/{path_segment(key)}/"
        return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=page)

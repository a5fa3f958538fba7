"""How GitHub's API is asked and what its answers mean; the questions themselves are in github_*.py."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from credentials.errors import AccessRefused, ProviderError
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, by_status, common_problem, unexplained
from credentials.providers.facts import Login
from credentials.providers.github.links import Links
from credentials.providers.github.wordings import (
    APP_RESTRICTED,
    CLASSIC_FORBIDDEN,
    FINE_GRAINED_FORBIDDEN,
    LIFETIME_FORBIDDEN,
    SIGN_ON_WANTED,
    Refusal,
    moved,
    quota_problem,
    refusal,
    sso_url,
    withheld,
)
from credentials.providers.http import Auth, Bearer
from credentials.providers.reading import identifier, member, objects
from credentials.verdicts import VerdictCode

HEADERS: Mapping[str, str] = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}
_PER_PAGE = 100
_PAGES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """All pages of one list.

    ``withheld`` are ids of organizations whose entries single sign-on kept back; ``complete`` is False
    where there were more pages than we turn. ``evidence`` is that of the first page.
    """

    items: tuple[Mapping[str, object], ...] = ()
    withheld: frozenset[str] = frozenset()
    complete: bool = False
    evidence: str = ""


class GitHubApi(Provider, ABC):
    """One GitHub host's REST and GraphQL."""

    @property
    def links(self) -> Links:
        return Links(web_url=self.host.web_url)

    def authorization(self, login: Login) -> Auth:
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """Quota, single sign-on, organization restrictions, missing rights, the token itself, 404."""
        if (problem := moved(answer, self.host.api_url) or common_problem(answer)) is not None:
            return problem
        if (problem := quota_problem(answer, self.now())) is not None:
            return problem
        if (url := sso_url(answer)) is not None:
            return AccessRefused(
                "the organization asks for single sign-on",
                status=answer.status,
                evidence=f"{answer.evidence}: X-GitHub-SSO",
                verdict_code=VerdictCode.SSO_REQUIRED,
                url=self.own_url(url),
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return refusal(answer, lambda found: self.mending_page(found, answer))
        return by_status(answer)

    def mending_page(self, found: Refusal, answer: Answer) -> str:
        """The page that fits a refusal; one that GitHub names itself only if it is GitHub's own.

        A pasted OAuth token may belong to another app than ours, which is then the one to approve.
        """
        client_id = identifier(answer.headers.get("X-OAuth-Client-Id")) or self.host.client_id
        pages = {
            APP_RESTRICTED: self.links.request(client_id),
            CLASSIC_FORBIDDEN: self.links.new_fine_grained_token(found.organization),
            FINE_GRAINED_FORBIDDEN: self.links.new_classic_token(),
            LIFETIME_FORBIDDEN: self.own_url(found.token_page),
            SIGN_ON_WANTED: self.links.single_sign_on(found.organization),
        }
        return pages.get(found.wording, "")

    def get(self, path: str, *, login: Login | None, params: Mapping[str, str | int] | None = None) -> Answer:
        """Ask REST for one resource; raises what the answer means."""
        return self.ask("GET", path, login=login, params=params, headers=HEADERS)

    def listed(self, login: Login, path: str, *, within: str = "") -> Listing:
        """All pages of a list; fails as a whole, because half a list is not a list.

        ``within`` names the member that holds the list where the answer is an object.
        """
        found: list[Mapping[str, object]] = []
        kept_back: frozenset[str] = frozenset()
        evidence, complete = "", False
        for page in range(1, _PAGES + 1):
            answer = self.get(path, login=login, params={"per_page": _PER_PAGE, "page": page})
            items = member(answer.json, within) if within else answer.json
            if not isinstance(items, list):
                raise unexplained(answer)
            found += objects(items)
            kept_back |= withheld(answer)
            evidence = evidence or answer.evidence
            complete = not has_next_page(answer)
            if complete:
                break
        return Listing(items=tuple(found), withheld=kept_back, complete=complete, evidence=evidence)

    def graphql(self, login: Login, query: str) -> Answer:
        """Ask GraphQL; a success may still carry ``errors``.

        https://docs.github.com/graphql/guides/forming-calls-with-graphql
        https://docs.github.com/enterprise-server@3.19/graphql/guides/forming-calls-with-graphql
        """
        base = self.host.api_url.removesuffix("/v3")
        answer = self.door.request(
            "POST",
            f"{base}/graphql",
            auth=self.authorization(login),
            json={"query": query},
            headers=HEADERS,
        )
        if (problem := self.translate(answer)) is not None:
            raise problem
        return answer


def has_next_page(answer: Answer) -> bool:
    """Whether the ``Link`` header knows a next page. Its address is never used."""
    return 'rel="next"' in answer.headers.get("Link", "")

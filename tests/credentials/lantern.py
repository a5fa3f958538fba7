"""A seventh provider, for hosting software that nobody has written: one file, as an adopter would add it."""

from __future__ import annotations

from typing import ClassVar

from credentials.errors import ProviderError
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, by_status, common_problem
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OrganizationFact,
    OrganizationState,
    RepositoryFact,
    RepositoryPage,
    RepositoryPlace,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.http import Auth, Bearer
from credentials.providers.reading import identifier, member, objects, text
from credentials.providers.tokens import Kind


class Lantern(Provider):
    """Personal tokens, teams, and repositories of teams."""

    name: ClassVar[str] = "lantern"
    title: ClassVar[str] = "Lantern"
    oauth_available: ClassVar[bool] = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PERSONAL_TOKEN})

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        return f"{web_url}/api"

    def authorization(self, login: Login) -> Auth:
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        return common_problem(answer) or by_status(answer)

    def verify(self, login: Login) -> Verification:
        answer = self.ask("GET", "/me", login=login)
        who = Identity(account_id=identifier(answer.json, "id"), account_name=text(answer.json, "name"))
        return Verification(kind=login.kind, identity=who, scopes=("read",), evidence=(answer.evidence,))

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...]:
        answer = self.ask("GET", "/teams", login=login)
        keys = [text(team, "key") for team in objects(member(answer.json, "teams"))]
        return tuple(self._team(key, answer.evidence) for key in keys)

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        return next((team for team in self.organizations(login) if team.key == key), None)

    def _team(self, key: str, evidence: str) -> OrganizationFact:
        return OrganizationFact(key=key, name=key, state=OrganizationState.ACCESSIBLE, evidence=evidence)

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        if len(segments) < 2:  # team, name
            return None
        return RepositoryPlace(
            owner=segments[0], path="/".join(segments[:2]), organizations=(segments[0].lower(),)
        )

    def clone_url(self, place: RepositoryPlace) -> str:
        return f"{self.host.web_url}/{place.path}"

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        answer = self.ask("GET", f"/repositories/{place.path}", login=login)
        return RepositoryFact(
            path=place.path,
            clone_url=self.clone_url(place),
            private=True,
            default_branch=text(answer.json, "branch"),
            evidence=answer.evidence,
        )

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        return None

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        return GitLogin(username="lantern", password=login.token)

    def guide(self) -> TokenGuide:
        page = f"{self.host.web_url}/tokens"
        return TokenGuide(
            create_url=page,
            manage_url=page,
            kind_title="token",
            steps=("Choose “Light one”.",),
            scopes=(ScopeNeed(scope="read", reason="Reads private repositories.", required=True),),
            checked_on="2026-11-24",
        )

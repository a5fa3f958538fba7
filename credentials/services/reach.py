"""Can this credential read this repository? One walk, in a fixed order, that stops at the first cause.

The API is asked first. Where it cannot tell, because the token's scopes do not cover the question or say
nothing of the files, Git is asked: it is what will read the repository in the end. Pure: it asks the host
and touches no row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from credentials.errors import (
    AccessRefused,
    AddressForbidden,
    AddressInvalid,
    ConfigurationError,
    InputInvalid,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.base import Provider
from credentials.providers.causes import CODE_OF, state_of
from credentials.providers.facts import (
    Login,
    OrganizationFact,
    OrganizationState,
    RepositoryFact,
    RepositoryPlace,
)
from credentials.sources import git
from credentials.verdicts import Check, VerdictCode

GIT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one walk found.

    ``known`` is False where the host could not be asked: then nothing that was known before may change.
    ``organizations`` are the facts learned on the way; ``organization`` is the one that stands in the way,
    ``url`` the host's page that mends it where the answer carried one. ``refused_by_git`` says that Git did
    not take a token that the API takes: such refusals add up at the host.
    """

    code: VerdictCode
    checks: tuple[Check, ...]
    known: bool = True
    repository: RepositoryFact | None = None
    organizations: tuple[OrganizationFact, ...] = ()
    organization: str = ""
    url: str = ""
    missing_scopes: tuple[str, ...] = ()
    retry_after: timedelta | None = None
    refused_by_git: bool = False

    @property
    def ok(self) -> bool:
        return self.code in {VerdictCode.OK, VerdictCode.OK_PUBLIC}


@dataclass(slots=True)
class _Walk:
    """One walk: whom to ask, about what, and what was said so far."""

    provider: Provider
    place: RepositoryPlace
    login: Login
    allow_private: bool
    lacks: tuple[str, ...]
    now: Callable[[], datetime]
    checks: list[Check] = field(default_factory=list)

    def note(self, step: str, result: str) -> None:
        self.checks.append(Check(step=step, result=result, at=self.now()))

    def found(self, code: VerdictCode, **more: object) -> Finding:
        return Finding(code=code, checks=tuple(self.checks), **more)  # type: ignore[arg-type]  # as declared there


def walk(
    provider: Provider,
    place: RepositoryPlace,
    login: Login,
    *,
    allow_private: bool,
    lacks: tuple[str, ...] = (),
    now: Callable[[], datetime],
) -> Finding:
    """Ask the host whether ``login`` reads the repository at ``place``.

    ``lacks`` are the scopes that a verification found missing. Never raises for what the host answers.
    """
    this = _Walk(
        provider=provider, place=place, login=login, allow_private=allow_private, lacks=lacks, now=now
    )
    try:
        fact = provider.repository(place, login=login)
    except ScopeMissing as problem:
        this.note("api", problem.evidence)
        return _by_git(this, None, scope=problem)
    except ProviderError as problem:
        return _refused(this, problem, step="api")
    except AddressForbidden as problem:
        this.note("api", str(problem))
        return this.found(VerdictCode.HOST_UNREACHABLE, known=False)
    this.note("api", fact.evidence)
    if fact.reads_contents:
        return this.found(VerdictCode.OK, repository=fact)
    return _by_git(this, fact, scope=None)


def _by_git(this: _Walk, fact: RepositoryFact | None, *, scope: ScopeMissing | None) -> Finding:
    """Ask Git itself. ``scope`` is why the API could not tell: it proved the token all the same."""
    # A repository that has moved is at the address that the API has just told.
    url = fact.clone_url if fact else this.provider.clone_url(this.place)
    try:
        refs = ls_remote(this.provider, url, login=this.login, allow_private=this.allow_private)
    except ProviderError as problem:
        return _git_refused(this, problem, scope=scope)
    except (AddressForbidden, AddressInvalid, InputInvalid, ConfigurationError) as problem:
        # Where no request may go; an address or a user name that Git cannot be given; no Git on this machine.
        this.note("git", str(problem))
        is_away = isinstance(problem, AddressForbidden)
        return this.found(VerdictCode.HOST_UNREACHABLE if is_away else VerdictCode.UNKNOWN, known=False)
    this.note("git", refs.evidence)
    return this.found(VerdictCode.OK, repository=fact)


def _git_refused(this: _Walk, problem: ProviderError, *, scope: ScopeMissing | None) -> Finding:
    if isinstance(problem, TokenRejected):
        this.note("git", problem.evidence)
        # The API has just accepted the token, so what Git misses is a right (GitLab answers 401 for both).
        lacking = _lacking(this, scope)
        return this.found(VerdictCode.SCOPE_MISSING, missing_scopes=lacking, refused_by_git=True)
    if isinstance(problem, ScopeMissing):
        this.note("git", problem.evidence)
        return this.found(VerdictCode.SCOPE_MISSING, missing_scopes=problem.required or _lacking(this, None))
    if scope is not None and _is_hidden(problem) and set(scope.required) & set(needed_scopes(this.provider)):
        # The API has just said which scope is missing, and it is the one that Git needs as well.
        this.note("git", problem.evidence)
        return this.found(VerdictCode.SCOPE_MISSING, missing_scopes=scope.required)
    return _refused(this, problem, step="git")


def ls_remote(provider: Provider, url: str, *, login: Login | None, allow_private: bool) -> git.RemoteRefs:
    """What Git is shown of the repository at ``url``, through the breaker of its host.

    Raises as :func:`credentials.sources.git.ls_remote` does.
    """
    breaker = provider.door.breaker
    breaker.enter()
    remote = git.Remote(url=url, allow_private=allow_private, provider=provider.name)
    try:
        refs = git.ls_remote(
            remote, login=provider.git_login(login) if login else None, timeout_seconds=GIT_SECONDS
        )
    except ProviderUnreachable as problem:
        breaker.failed(problem)
        raise
    breaker.succeeded()
    return refs


def _is_hidden(problem: ProviderError) -> bool:
    return isinstance(problem, AccessRefused) and problem.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS


def _lacking(this: _Walk, scope: ScopeMissing | None) -> tuple[str, ...]:
    """The scopes to name: what reading needs at this host, rather than what the API question needed."""
    if this.lacks:
        return this.lacks
    return needed_scopes(this.provider) or (scope.required if scope else ())


def needed_scopes(provider: Provider) -> tuple[str, ...]:
    """The scopes that reading a repository needs here."""
    return tuple(need.scope for need in provider.guide().scopes if need.required)


def _refused(this: _Walk, problem: ProviderError, *, step: str) -> Finding:
    this.note(step, problem.evidence)
    if isinstance(problem, TokenRejected):
        return this.found(VerdictCode(problem.verdict_code))
    if isinstance(problem, ProviderRateLimited):
        return this.found(VerdictCode.RATE_LIMITED, known=False, retry_after=problem.retry_after)
    if isinstance(problem, ProviderUnreachable):
        return this.found(VerdictCode.HOST_UNREACHABLE, known=False)
    if isinstance(problem, ScopeMissing):
        return this.found(VerdictCode.SCOPE_MISSING, missing_scopes=_lacking(this, problem))
    if isinstance(problem, AccessRefused):
        return _explained(this, problem)
    return this.found(VerdictCode.UNKNOWN, known=False)


def _explained(this: _Walk, problem: AccessRefused) -> Finding:
    """A refusal that names its cause, or one behind which an organization may hide."""
    code = VerdictCode(problem.verdict_code)
    if code is not VerdictCode.NOT_FOUND_OR_NO_ACCESS:
        organization = this.place.organizations[0] if this.place.organizations else this.place.owner
        fact = OrganizationFact(
            key=organization,
            name=organization,
            state=state_of(code),
            evidence=problem.evidence,
            url=problem.url,
        )
        learned = (fact,) if fact.state is not OrganizationState.UNKNOWN else ()
        return this.found(code, organization=organization, url=problem.url, organizations=learned)
    return _behind_not_found(this)


def _behind_not_found(this: _Walk) -> Finding:
    """Hosts hide what one may not see behind "not found"; its organizations may say more."""
    learned: list[OrganizationFact] = []
    for key in this.place.nearest_and_topmost:
        try:
            fact = this.provider.organization(this.login, key)
        except ProviderRateLimited as problem:
            return _refused(this, problem, step="organization")  # later it can be told what is behind it
        except ProviderError as problem:
            this.note("organization", problem.evidence)
            break
        except AddressForbidden as problem:
            this.note("organization", str(problem))
            break
        if fact is None:
            this.note("organization", f"{key}: none of this name is known")
            continue
        this.note("organization", fact.evidence)
        learned.append(fact)
        if (code := CODE_OF.get(fact.state)) is not None:
            return this.found(code, organization=key, url=fact.url, organizations=tuple(learned))
    return this.found(VerdictCode.NOT_FOUND_OR_NO_ACCESS, organizations=tuple(learned))


def walk_as_anybody(provider: Provider, place: RepositoryPlace, *, now: Callable[[], datetime]) -> Finding:
    """Whether anyone can read the repository, without any credential."""
    try:
        fact = provider.repository(place, login=None)
    except (ProviderError, AddressForbidden) as problem:
        evidence = problem.evidence if isinstance(problem, ProviderError) else str(problem)
        check = Check(step="public", result=evidence, at=now())
        is_silent = isinstance(problem, ProviderUnreachable | AddressForbidden)
        code = VerdictCode.HOST_UNREACHABLE if is_silent else VerdictCode.NOT_FOUND_OR_NO_ACCESS
        known = isinstance(problem, AccessRefused | TokenRejected | ScopeMissing)
        return Finding(code=code, checks=(check,), known=known)
    check = Check(step="public", result=fact.evidence, at=now())
    return Finding(code=VerdictCode.OK_PUBLIC, checks=(check,), repository=fact)

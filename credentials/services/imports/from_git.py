"""Fetches a repository for its library's owner: with the credential that the choice finds, or as anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from credentials.conf import conf
from credentials.errors import (
    AccessRefused,
    AddressError,
    Conflict,
    ImportProblem,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.models import Credential, Import, ProgressUnit, Stage
from credentials.providers.facts import Login
from credentials.providers.repository_url import parse
from credentials.services import diagnose, holds, queue
from credentials.services.diagnose import Diagnosis
from credentials.services.imports.claims import actor_of
from credentials.services.imports.pulse import Pulse
from credentials.services.opening import open_login, reopen
from credentials.services.targets import Target, find_target
from credentials.sources import git
from credentials.sources.content import ContentLimits
from credentials.sources.git import fetch as git_fetch
from credentials.sources.git.content import GitContent
from credentials.verdicts import Verdict, VerdictCode
from credentials.verdicts.wording import verdict

PURPOSE = "import"


class NoWayIn(Exception):  # no error of the program: the verdict is the answer
    """The repository cannot be read; ``verdict`` says why and what to do."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code.value)
        self.verdict = verdict


def fetch(
    job: Import, *, folder: Path, limits: ContentLimits, pulse: Pulse, now: Callable[[], datetime]
) -> GitContent:
    """What the import's address holds, fetched into ``folder``.

    Raises NoWayIn, ImportProblem, TooManyRequests, CryptoError, AuditUnavailable, and what ``pulse`` raises.
    """
    pulse.enter(Stage.CHECKING)
    found, diagnosis = _way_in(job, now=now)
    try:
        login = _login(job, diagnosis.credential, now=now)
        pulse.enter(Stage.FETCHING, unit=ProgressUnit.OBJECTS)
        try:
            return _fetched(job, found, diagnosis, login, folder=folder, limits=limits, pulse=pulse)
        except TokenRejected:
            # It was renewed, replaced or revoked since it was opened.
            again = _login_again(job, diagnosis.credential, now=now)
            if again is None:
                raise
            return _fetched(job, found, diagnosis, again, folder=folder, limits=limits, pulse=pulse)
    except ProviderUnreachable as problem:
        raise NoWayIn(_told(VerdictCode.HOST_UNREACHABLE, job, diagnosis.credential)) from problem
    except ProviderRateLimited as problem:
        raise NoWayIn(_told(VerdictCode.RATE_LIMITED, job, diagnosis.credential)) from problem
    except (ProviderError, AddressError, Conflict) as problem:
        # What has changed since the first look, the second one says.
        _found, second = _way_in(job, now=now)
        _doubt(problem, diagnosis.credential, now=now())
        raise NoWayIn(_told(_code_of(problem), job, second.credential)) from problem


def _way_in(job: Import, *, now: Callable[[], datetime]) -> tuple[Target, Diagnosis]:
    try:
        diagnosis = diagnose.diagnose(
            actor=actor_of(job), user=job.library.owner, repository_url=job.repository_url, now=now
        )
        found = find_target(parse(job.repository_url), now=now)
    except AddressError:
        raise NoWayIn(verdict(VerdictCode.HOST_UNKNOWN, values={"host": job.host})) from None
    if found is None or not diagnosis.verdict.ok:
        raise NoWayIn(diagnosis.verdict)
    # The address may come from the host's own answer, which is nobody's to trust.
    base, place = parse(found.host.web_url), parse(diagnosis.clone_url)
    if place.origin != base.origin or not place.segments_start_with(base.segments):
        raise NoWayIn(_told(VerdictCode.UNKNOWN, job, diagnosis.credential))
    return found, diagnosis


def _told(code: VerdictCode, job: Import, credential: Credential | None) -> Verdict:
    return diagnose.known(
        user=job.library.owner,
        address=parse(job.repository_url),
        credential_id=credential.pk if credential else None,
        code=code,
    )


def _code_of(problem: Exception) -> VerdictCode:
    """What git was told, in the words of a verdict: the API has just said that all is well."""
    if isinstance(problem, (TokenRejected, AccessRefused)):
        return VerdictCode(problem.verdict_code)
    return VerdictCode.SCOPE_MISSING if isinstance(problem, ScopeMissing) else VerdictCode.UNKNOWN


def _doubt(problem: Exception, credential: Credential | None, *, now: datetime) -> None:
    """A token that Git is refused with rests until it is proved again, as where a borrower says so."""
    if credential is not None and isinstance(problem, TokenRejected):
        holds.note_refusal(credential, now=now)
        queue.verify_later(credential.pk)


def _login(job: Import, credential: Credential | None, *, now: Callable[[], datetime]) -> Login | None:
    """Opened, with a token that lives as long as an import may take, as far as its host gives such."""
    if credential is None:
        return None
    return open_login(
        credential,
        actor=actor_of(job),
        purpose=PURPOSE,
        repository=job.repository_url,
        reference=str(job.pk),
        min_valid=conf.import_duration,
        now=now,
    )


def _login_again(job: Import, credential: Credential | None, *, now: Callable[[], datetime]) -> Login | None:
    """Another secret than the one that was refused; None where there is none."""
    if credential is None:
        return None
    refused = credential.generation
    credential.refresh_from_db()
    if credential.generation != refused:
        return _login(job, credential, now=now)
    return reopen(
        credential,
        actor=actor_of(job),
        purpose=PURPOSE,
        repository=job.repository_url,
        reference=str(job.pk),
        now=now,
    )


def _fetched(
    job: Import,
    found: Target,
    diagnosis: Diagnosis,
    login: Login | None,
    *,
    folder: Path,
    limits: ContentLimits,
    pulse: Pulse,
) -> GitContent:
    breaker = found.provider.door.breaker
    breaker.enter()
    place = folder / f"repository-{len(list(folder.iterdir()))}"
    place.mkdir(mode=0o700)
    try:
        content = git_fetch.fetch(
            git.Remote(
                url=diagnosis.clone_url,
                allow_private=found.host.allow_private_network,
                provider=found.provider.name,
            ),
            login=found.provider.git_login(login) if login else None,
            ref=job.ref,
            subdirectory=job.subdirectory,
            folder=place,
            limits=limits,
            timeout_seconds=pulse.seconds_left,
            progress=pulse.objects,
        )
    except ProviderUnreachable as problem:
        breaker.failed(problem)
        raise
    except ImportProblem:
        breaker.succeeded()
        raise
    breaker.succeeded()
    return content

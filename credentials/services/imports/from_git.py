"""Fetches a repository for its library's owner: with the credential that the choice finds, or as anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from credentials.errors import (
    AddressError,
    AuditUnavailable,
    Conflict,
    ImportProblem,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenRejected,
    TooManyRequests,
)
from credentials.models import Credential, Import, ProgressUnit, Stage
from credentials.providers.facts import Login
from credentials.providers.repository_url import parse
from credentials.services import diagnose
from credentials.services.diagnose import Diagnosis
from credentials.services.imports.claims import Pulse, actor_of
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

    Raises NoWayIn, ImportProblem, and what ``pulse`` raises.
    """
    pulse.enter(Stage.CHECKING)
    found, diagnosis = _way_in(job, now=now)
    pulse.enter(Stage.FETCHING, unit=ProgressUnit.OBJECTS)
    try:
        login = _login(job, diagnosis.credential, now=now)
        try:
            return _fetched(job, found, diagnosis, login, folder=folder, limits=limits, pulse=pulse)
        except TokenRejected:
            # It was renewed or revoked since it was opened.
            again = _login_again(job, diagnosis.credential, now=now)
            if again is None:
                raise
            return _fetched(job, found, diagnosis, again, folder=folder, limits=limits, pulse=pulse)
    except ProviderUnreachable as problem:
        raise NoWayIn(_told(VerdictCode.HOST_UNREACHABLE, job, diagnosis)) from problem
    except ProviderRateLimited as problem:
        raise NoWayIn(_told(VerdictCode.RATE_LIMITED, job, diagnosis)) from problem
    except (ProviderError, AddressError, Conflict, AuditUnavailable) as problem:
        # What has changed since the first look, the second one says.
        _found, second = _way_in(job, now=now)
        raise NoWayIn(_told(VerdictCode.UNKNOWN, job, second)) from problem


def _way_in(job: Import, *, now: Callable[[], datetime]) -> tuple[Target, Diagnosis]:
    try:
        diagnosis = diagnose.diagnose(
            actor=actor_of(job), user=job.library.owner, repository_url=job.repository_url, now=now
        )
        found = find_target(parse(job.repository_url), now=now)
    except TooManyRequests:
        raise NoWayIn(verdict(VerdictCode.RATE_LIMITED, values={"host": job.host})) from None
    except AddressError:
        raise NoWayIn(verdict(VerdictCode.HOST_UNKNOWN, values={"host": job.host})) from None
    if found is None or not diagnosis.verdict.ok:
        raise NoWayIn(diagnosis.verdict)
    # The address comes from the host's own answer, which is nobody's to trust.
    if parse(diagnosis.clone_url).origin != parse(found.host.web_url).origin:
        raise NoWayIn(_told(VerdictCode.UNKNOWN, job, diagnosis))
    return found, diagnosis


def _told(code: VerdictCode, job: Import, diagnosis: Diagnosis) -> Verdict:
    return diagnose.known(
        user=job.library.owner,
        address=parse(job.repository_url),
        credential_id=diagnosis.credential.pk if diagnosis.credential else None,
        code=code,
    )


def _login(job: Import, credential: Credential | None, *, now: Callable[[], datetime]) -> Login | None:
    if credential is None:
        return None
    return open_login(
        credential, actor=actor_of(job), purpose=PURPOSE, repository=job.repository_url, now=now
    )


def _login_again(job: Import, credential: Credential | None, *, now: Callable[[], datetime]) -> Login | None:
    if credential is None:
        return None
    return reopen(credential, actor=actor_of(job), purpose=PURPOSE, repository=job.repository_url, now=now)


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

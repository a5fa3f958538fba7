"""Carries out one import: finds a way in, fetches or opens, reads, stores, and ends it with a reason.

Whatever happens, nothing is half-stored and nothing is left behind: the workspace goes with the attempt, a file in
the storage that became nobody's is removed, and only the last transaction makes a snapshot.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import Error
from django.utils import timezone

from credentials.conf import conf
from credentials.errors import (
    Conflict,
    CryptoError,
    ImportCanceled,
    ImportProblem,
    StorageUnavailable,
)
from credentials.models import Import, ProgressUnit, Source, Stage
from credentials.services.imports import claims, ending, from_git
from credentials.services.imports.claims import Claim, Lost, Pulse, Stopped
from credentials.services.imports.ending import Reason
from credentials.services.imports.from_git import NoWayIn
from credentials.services.imports.workspaces import workspace
from credentials.services.libraries import trees
from credentials.services.libraries.snapshots import Origin
from credentials.services.libraries.trees import PutTree
from credentials.sources.archive import open_archive
from credentials.sources.content import Content, ContentLimits
from credentials.sources.stored_zip import write_archive

# Content that was there is removed at most once while it is referred to.
_PUTS = 2
_BLOCK = 1 << 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One attempt: its claim, its folder, its pulse and its clock."""

    claim: Claim
    folder: Path
    pulse: Pulse
    now: Callable[[], datetime]

    @property
    def row(self) -> Import:
        return self.claim.job


def run(
    import_id: UUID,
    *,
    now: Callable[[], datetime] = timezone.now,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[UUID, ...]:
    """Carry out an import, if it waits and may be claimed now; the imports that others may take now: those that
    waited behind it, or it itself where this process ends before it.

    Safe to be called twice, at the same time and on any machine. Raises nothing but errors of the database: the
    import is taken up again then (services/imports/recovery.py).
    """
    claim = claims.take(import_id, now=now())
    if claim is None:
        return ()
    deadline = monotonic() + conf.import_duration.total_seconds()
    pulse = Pulse(claim=claim, now=now, deadline=deadline, monotonic=monotonic)
    try:
        with workspace(claim.token) as folder:
            _attempt(_Job(claim=claim, folder=folder, pulse=pulse, now=now))
    except Stopped:
        return _released(claim, now=now)
    except Lost:
        logger.info("import %s is somebody else's by now", import_id)
    except OSError as error:
        # No room for a folder, or none of ours.
        logger.error("import %s could not be begun: %s", import_id, type(error).__name__)
        _fail(claim, ending.reason_of(StorageUnavailable()), now=now)
    finally:
        claims.let_go(claim)
    return claims.waiting_behind(claim.job)


def _released(claim: Claim, *, now: Callable[[], datetime]) -> tuple[UUID, ...]:
    try:
        ending.release(claim, now=now())
    except Lost:
        return ()
    return (claim.job.pk,)


def _attempt(job: _Job) -> None:
    try:
        _bring(job)
    except ImportCanceled:
        ending.cancel(job.claim, now=job.now())
        _drop_upload(job.row)
    except NoWayIn as problem:
        _fail(job.claim, ending.reason_of_verdict(problem.verdict), now=job.now)
    except ImportProblem as problem:
        _fail(job.claim, ending.reason_of(problem), now=job.now)
    except (Lost, Stopped, Error):
        raise
    except CryptoError as problem:
        _fail(
            job.claim, Reason(error={"code": problem.code, "retryable": True}, is_passing=True), now=job.now
        )
    except Exception as problem:
        place = traceback.extract_tb(problem.__traceback__)[-1]
        kind = type(problem).__name__
        # Neither its words nor a traceback: both may repeat content, addresses or worse.
        logger.error("import %s failed: %s at %s:%s", job.row.pk, kind, place.filename, place.lineno)
        _fail(job.claim, ending.unexpected(), now=job.now)


def _fail(claim: Claim, reason: Reason, *, now: Callable[[], datetime]) -> None:
    """A file that would only be refused again is not kept; another one stays for a day."""
    has_ended = ending.fail(claim, reason, now=now())
    if has_ended and not (reason.error or {}).get("retryable"):
        _drop_upload(claim.job)


def _drop_upload(job: Import) -> None:
    if job.upload:
        trees.discard(job.upload)


def _bring(job: _Job) -> None:
    limits = ContentLimits(
        files=conf.import_files, bytes=conf.import_bytes, file_bytes=conf.import_file_bytes
    )
    if job.row.source == Source.GIT:
        fetched = from_git.fetch(job.row, folder=job.folder, limits=limits, pulse=job.pulse, now=job.now)
        _store(job, fetched, ref=fetched.ref, commit=fetched.commit)
        return
    job.pulse.enter(Stage.OPENING, unit=ProgressUnit.BYTES, total=job.row.upload_bytes)
    local = _local_upload(job)
    with local.open("rb") as opened:
        content = open_archive(
            opened, limits=limits, unwrap=job.row.unwrap, subdirectory=job.row.subdirectory
        )
        _store(job, content, ref="", commit="")
    _drop_upload(job.row)


def _local_upload(job: _Job) -> Path:
    """The uploaded file where it can be read in any order; a copy, where the storage is elsewhere."""
    try:
        return Path(default_storage.path(job.row.upload))
    except NotImplementedError:
        pass
    target = job.folder / "upload.zip"
    try:
        with default_storage.open(job.row.upload) as source, target.open("wb") as copy:
            while block := source.read(_BLOCK):
                copy.write(block)
                job.pulse.beat(progress_done=copy.tell())
    except (ImportProblem, Lost, Stopped, Error):
        raise
    except Exception as error:
        logger.error("an upload could not be read: %s", type(error).__name__)
        raise StorageUnavailable from None
    return target


def _store(job: _Job, content: Content, *, ref: str, commit: str) -> None:
    files = content.files
    size = sum(file.size for file in files)
    _refuse_without_room(job.folder, size)
    job.pulse.enter(Stage.READING, unit=ProgressUnit.BYTES, total=size, files=len(files))
    archive = job.folder / "archive.zip"
    try:
        with archive.open("w+b") as target:
            manifest = write_archive(content, target, progress=job.pulse.files)
    except OSError as error:
        logger.error("import %s: the disk took nothing: %s", job.row.pk, type(error).__name__)
        raise StorageUnavailable from None
    job.pulse.enter(Stage.STORING)
    origin = Origin(
        source=job.row.source,
        brought_by=job.row.actor_name,
        repository_url=job.row.repository_url,
        host=job.row.host,
        ref=ref,
        commit=commit,
        subdirectory=job.row.subdirectory,
        file_name=job.row.file_name,
        remarks=tuple(content.remarks),
    )
    token = f"{job.row.pk.hex}-{job.row.attempts}"
    for turn in range(_PUTS):
        copy = job.folder / "put.zip"
        shutil.copyfile(archive, copy) if turn + 1 < _PUTS else archive.rename(copy)
        put = trees.put(manifest=manifest, archive=copy, token=f"{token}-{turn}", intend=_intention(job))
        try:
            _succeed(job, put, origin)
        except Conflict:
            continue
        return
    raise StorageUnavailable


def _refuse_without_room(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + trees.LEAST_FREE:
        raise StorageUnavailable


def _intention(job: _Job) -> Callable[[str], None]:
    def intend(name: str) -> None:
        mine = Import.objects.filter(pk=job.row.pk, holder=job.claim.token)
        if not mine.update(archive=name):
            raise Lost

    return intend


def _succeed(job: _Job, put: PutTree, origin: Origin) -> None:
    """The last transaction; what was put and is nobody's afterwards goes."""
    try:
        ending.succeed(job.claim, put=put, origin=origin, now=job.now())
    finally:
        if put.is_new:
            trees.discard(put.archive)

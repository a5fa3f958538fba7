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
from uuid import UUID, uuid4

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import Error

from credentials.conf import conf
from credentials.errors import (
    AuditUnavailable,
    Conflict,
    CryptoError,
    ImportCanceled,
    ImportProblem,
    StorageUnavailable,
    TooManyRequests,
    UploadGone,
)
from credentials.models import Import, ProgressUnit, Source, Stage
from credentials.services import database
from credentials.services.imports import claims, ending, from_git
from credentials.services.imports.claims import Claim, Lost
from credentials.services.imports.ending import Reason
from credentials.services.imports.from_git import NoWayIn
from credentials.services.imports.pulse import Pulse, Stopped, is_stopping
from credentials.services.imports.workspaces import sweep, workspace
from credentials.services.libraries import trees
from credentials.services.libraries.snapshots import Origin
from credentials.services.libraries.trees import PutTree
from credentials.sources.archive import open_archive
from credentials.sources.content import Content, ContentLimits
from credentials.sources.stored_zip import write_archive

# Content that was there may be removed between finding and referring to it; hardly ever more than once.
_PUTS = 3
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
    now: Callable[[], datetime] = database.now,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[UUID, ...]:
    """Carry out an import, if it waits and may be claimed now, or the one of its library that is before it in line;
    the imports that may be taken afterwards.

    Safe to be called twice, at the same time and on any machine. Raises nothing but errors of the database: the
    import is taken up again then (services/imports/recovery.py).
    """
    claim = None if is_stopping() else claims.take(import_id, now=now())
    if claim is None:
        return ()
    try:
        sweep(now=now())
        deadline = monotonic() + conf.import_duration.total_seconds()
        with Pulse(claim=claim, now=now, deadline=deadline, monotonic=monotonic) as pulse:
            _attempt(claim, pulse, now=now)
    except Lost:
        logger.info("import %s is somebody else's by now", claim.job.pk)
    finally:
        claims.let_go(claim)
    ending.forget_archive(claim.job)
    return claims.waiting_behind(claim.job, now=now())


def _attempt(claim: Claim, pulse: Pulse, *, now: Callable[[], datetime]) -> None:
    try:
        # What an attempt that was killed has brought.
        trees.discard(claim.job.archive)
        with workspace(claim.token) as folder:
            _bring(_Job(claim=claim, folder=folder, pulse=pulse, now=now))
    except ImportCanceled:
        ending.cancel(claim, now=now())
    except Stopped:
        ending.release(claim, now=now())
    except (Lost, Error):
        raise
    except Exception as problem:
        ending.fail(claim, _reason(claim.job, problem), now=now())


def _reason(job: Import, problem: Exception) -> Reason:
    if isinstance(problem, NoWayIn):
        return ending.reason_of_verdict(problem.verdict)
    if isinstance(problem, (ImportProblem, TooManyRequests, AuditUnavailable)):
        return ending.reason_of(problem)
    if isinstance(problem, CryptoError):
        return Reason(error={"code": problem.code, "retryable": True}, is_passing=True)
    place = traceback.extract_tb(problem.__traceback__)[-1]
    kind = type(problem).__name__
    if isinstance(problem, OSError):
        # Every other system has errors of our own by then: this is the disk.
        logger.error("import %s: the disk does not do it: %s at line %s", job.pk, kind, place.lineno)
        return ending.reason_of(StorageUnavailable())
    # Neither its words nor a traceback: both may repeat content, addresses or worse.
    logger.error("import %s failed: %s at %s:%s", job.pk, kind, place.filename, place.lineno)
    return ending.unexpected()


def _bring(job: _Job) -> None:
    limits = ContentLimits(
        files=conf.import_files, bytes=conf.import_bytes, file_bytes=conf.import_file_bytes
    )
    if job.row.source == Source.GIT:
        fetched = from_git.fetch(job.row, folder=job.folder, limits=limits, pulse=job.pulse, now=job.now)
        _store(job, fetched, ref=fetched.ref, commit=fetched.commit)
        return
    job.pulse.enter(Stage.OPENING, unit=ProgressUnit.BYTES, total=job.row.upload_bytes)
    with _local_upload(job).open("rb") as opened:
        content = open_archive(
            opened, limits=limits, unwrap=job.row.unwrap, subdirectory=job.row.subdirectory
        )
        _store(job, content, ref="", commit="")


def _local_upload(job: _Job) -> Path:
    """The uploaded file where it can be read in any order; a copy, where the storage is elsewhere.

    Raises UploadGone, StorageUnavailable, and what the pulse raises.
    """
    name = job.row.upload
    try:
        if not name or not default_storage.exists(name):
            raise UploadGone
        return Path(default_storage.path(name))
    except NotImplementedError:
        pass
    except UploadGone:
        raise
    except Exception as error:
        raise _unreadable(error) from None
    target = job.folder / "upload.zip"
    try:
        source = default_storage.open(name)
    except Exception as error:
        raise _unreadable(error) from None
    with source, target.open("wb") as copy:
        while block := _block(source):
            copy.write(block)
            job.pulse.beat(progress_done=copy.tell())
    return target


def _block(source: File[bytes]) -> bytes:
    try:
        return bytes(source.read(_BLOCK))
    except Exception as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> StorageUnavailable:
    """Each storage has errors of its own; their words may name buckets and addresses."""
    logger.error("an upload could not be read: %s", type(error).__name__)
    return StorageUnavailable()


def _store(job: _Job, content: Content, *, ref: str, commit: str) -> None:
    files = content.files
    size = sum(file.size for file in files)
    if shutil.disk_usage(job.folder).free < size + trees.LEAST_FREE:
        raise StorageUnavailable
    job.pulse.enter(Stage.READING, unit=ProgressUnit.BYTES, total=size, files=len(files))
    archive = job.folder / "archive.zip"
    with archive.open("w+b") as target:
        manifest = write_archive(content, target, progress=job.pulse.files)
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
    for _turn in range(_PUTS):
        # Never the name of another attempt, however attempts are counted: whoever wakes up late removes its own.
        token = f"{job.row.pk.hex}-{uuid4().hex}"
        put = trees.put(manifest=manifest, archive=archive, token=token, intend=_intention(job))
        if _has_succeeded(job, put, origin):
            return
    raise StorageUnavailable


def _intention(job: _Job) -> Callable[[str], None]:
    def intend(name: str) -> None:
        if not job.claim.rows.update(archive=name):
            raise Lost

    return intend


def _has_succeeded(job: _Job, put: PutTree, origin: Origin) -> bool:
    """The last transaction; what was put and is nobody's afterwards goes. False where the content has to be put
    again."""
    try:
        job.pulse.check()
        ending.succeed(job.claim, put=put, origin=origin, now=job.now())
    except Conflict:
        # What was found there is used up only where it was put just now.
        if put.is_new:
            raise StorageUnavailable from None
        return False
    finally:
        if put.is_new:
            trees.discard(put.archive)
    return True

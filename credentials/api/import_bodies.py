"""Imports, libraries and snapshots as the API writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from credentials.api.bodies import timestamp, verdict_body
from credentials.models import Import, Library, Snapshot
from credentials.services.imports import outcomes
from credentials.sources.snapshot import Difference, Entry
from credentials.verdicts.refusal_texts import describe
from credentials.verdicts.refusals import Remark

TOLD = 1000
"""How many files of each sort a difference lists; how many there are is told in any case."""


def import_body(job: Import) -> dict[str, Any]:
    """A job: what was asked for, how far it is, and how it ended."""
    verdict = outcomes.verdict_of(job)
    return {
        "id": str(job.pk),
        "library": _named(job.library),
        "user": job.library.owner.get_username(),
        "source": job.source,
        "repository_url": job.repository_url or None,
        "ref": job.ref,
        "subdirectory": job.subdirectory,
        "file_name": job.file_name or None,
        "reference": job.reference,
        "requested_by": job.actor_name,
        "state": job.state,
        "stage": job.stage or None,
        "progress": _progress(job),
        "files": {"done": job.files_done, "total": job.files_total or None},
        "attempts": job.attempts,
        "cancel_requested": job.cancel_requested_at is not None,
        "commit": job.commit or None,
        "snapshot": str(job.snapshot_id) if job.snapshot_id else None,
        "is_unchanged": job.is_unchanged,
        "verdict": None if verdict is None else verdict_body(verdict),
        "error": _error(job),
        "created_at": timestamp(job.created_at),
        "started_at": timestamp(job.started_at),
        "ended_at": timestamp(job.ended_at),
    }


def _progress(job: Import) -> dict[str, Any]:
    return {
        "done": job.progress_done,
        "total": job.progress_total or None,
        "unit": job.progress_unit or None,
    }


def _error(job: Import) -> dict[str, Any] | None:
    problem = outcomes.problem_of(job)
    if problem is None:
        return None
    return {
        "type": f"/help/{problem.code.replace('_', '-')}/",
        "code": problem.code,
        "reason": problem.reason or None,
        "title": str(problem.title),
        "detail": str(problem.detail),
        "entry": problem.entry or None,
        "limit": (job.error or {}).get("limit"),
        "retryable": problem.retryable,
    }


def library_body(library: Library, latest: Snapshot | None) -> dict[str, Any]:
    """A library and its newest snapshot. ``snapshots_told`` comes annotated by the query."""
    return {
        "id": str(library.pk),
        "name": library.name,
        "user": library.owner.get_username(),
        "snapshots": getattr(library, "snapshots_told", 0),
        "latest": None if latest is None else snapshot_body(latest),
        "created_at": timestamp(library.created_at),
    }


def _named(library: Library) -> dict[str, str]:
    return {"id": str(library.pk), "name": library.name}


def snapshot_body(snapshot: Snapshot) -> dict[str, Any]:
    """One version of a library, and where it came from."""
    return {
        "id": str(snapshot.pk),
        "library": _named(snapshot.library),
        "user": snapshot.library.owner.get_username(),
        "number": snapshot.number,
        "digest": snapshot.tree.digest,
        "files": snapshot.tree.files,
        "bytes": snapshot.tree.bytes,
        "archive_bytes": snapshot.tree.archive_bytes,
        "source": snapshot.source,
        "repository_url": snapshot.repository_url or None,
        "ref": snapshot.ref,
        "commit": snapshot.commit or None,
        "subdirectory": snapshot.subdirectory,
        "file_name": snapshot.file_name or None,
        "brought_by": snapshot.brought_by,
        "remarks_total": snapshot.remarks_total,
        "created_at": timestamp(snapshot.created_at),
    }


def snapshot_details(snapshot: Snapshot) -> dict[str, Any]:
    """The same, with what was left out or changed on the way."""
    return {
        **snapshot_body(snapshot),
        "remarks": [
            {"path": said["path"], "reason": said["reason"], "text": str(describe(Remark(said["reason"])))}
            for said in snapshot.remarks
        ],
    }


def entry_body(entry: Entry) -> dict[str, Any]:
    """One file of a manifest."""
    return {"path": entry.path, "size": entry.size, "sha256": entry.sha256, "mode": entry.mode}


def difference_body(before: Snapshot, after: Snapshot, found: Difference) -> dict[str, Any]:
    """What became of one snapshot in another: of each sort the first :data:`TOLD`, and how many there are."""
    sorts: dict[str, Sequence[Any]] = {
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "moved": found.moved,
    }
    return {
        "from": snapshot_body(before),
        "to": snapshot_body(after),
        "totals": {name: len(files) for name, files in sorts.items()},
        "is_complete": all(len(files) <= TOLD for files in sorts.values()),
        "added": [entry_body(entry) for entry in found.added[:TOLD]],
        "removed": [entry_body(entry) for entry in found.removed[:TOLD]],
        "changed": _pairs(found.changed[:TOLD]),
        "moved": _pairs(found.moved[:TOLD]),
    }


def _pairs(pairs: Iterable[tuple[Entry, Entry]]) -> list[dict[str, Any]]:
    return [{"before": entry_body(before), "after": entry_body(after)} for before, after in pairs]

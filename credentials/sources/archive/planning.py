"""Decides from the directory alone what of an archive is taken, what is left out, and what it is refused for."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from credentials.errors import ContentRefused, SubdirectoryNotFound
from credentials.sources import paths
from credentials.sources.archive import names
from credentials.sources.archive.records import STORED, Record
from credentials.sources.content import ContentLimits, Remarked
from credentials.sources.paths import Names, shown
from credentials.verdicts.refusals import Refusal, Remark

RATIO: Final = 200
"""How many times larger than packed something may become, once it is large."""
RATIO_FILE_BYTES: Final = 8 << 20
RATIO_BYTES: Final = 32 << 20
"""Unpacked bytes of one file, and of all, from which the ratio counts. What is smaller does no harm however well it
is packed: an empty table, a picture in one color, a log that says the same thing all day."""

_RESOURCE_FORKS = "__MACOSX"
_FOLDER_ATTRIBUTE = 0x10


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A file that will be taken under ``path``; ``number`` is its record's place in the directory."""

    path: str
    number: int


@dataclass(slots=True)
class Plan:
    """What will be taken and what is remarked. ``unwrapped`` is the folder that stood around everything, or empty."""

    taken: list[Taken] = field(default_factory=list)
    remarks: list[Remarked] = field(default_factory=list)
    unwrapped: str = ""


def plan(records: Sequence[Record], *, limits: ContentLimits, unwrap: bool, subdirectory: str = "") -> Plan:
    """Judge every record, then choose; raises ContentRefused, or SubdirectoryNotFound.

    Names are judged in the whole archive. Sizes are judged in the part that is taken: who asks for a small folder
    of a large archive gets it.
    """
    found = _judged(records)
    if unwrap:
        _unwrap(found)
    if subdirectory.strip("/"):
        found = _below(found, _folder_asked_for(subdirectory))
    if not found.taken:
        raise ContentRefused(Refusal.NOTHING_LEFT)
    _check_sizes([records[taken.number] for taken in found.taken], limits)
    found.taken.sort(key=lambda taken: taken.path.encode())
    found.remarks.sort(key=lambda remarked: (remarked.path, remarked.remark))
    return found


def check_number(records: Iterable[Record], limits: ContentLimits) -> None:
    """Refuse an archive of too many files by a glance at the names alone, before anything else of it is looked at."""
    files = sum(
        not record.name.endswith("/")
        and not record.name.startswith(f"{_RESOURCE_FORKS}/")
        and not stat.S_ISLNK(record.mode)
        and ".git" not in record.name
        for record in records
    )
    if files > limits.files:
        raise ContentRefused(Refusal.TOO_MANY_FILES, limit=limits.files)


def _judged(records: Iterable[Record]) -> Plan:
    found, tree, left_out = Plan(), Names(), set[tuple[str, Remark]]()
    for number, record in enumerate(records):
        is_folder = _is_folder(record)
        name = record.name.removesuffix("/") if is_folder else record.name
        git_folder = paths.git_folder(name)
        if git_folder:
            left_out.add((git_folder, Remark.GIT_FOLDER))
            continue
        path = paths.checked(name)
        if path.partition("/")[0] == _RESOURCE_FORKS:
            left_out.add((_RESOURCE_FORKS, Remark.RESOURCE_FORK))
        elif is_folder:
            tree.add_folder(path, entry=name)
        else:
            tree.add(path, entry=name)
            if stat.S_ISLNK(record.mode):
                left_out.add((path, Remark.SYMLINK))
            else:
                _take(found, path, number, name)
    found.remarks += [Remarked(path=path, remark=remark) for path, remark in left_out]
    return found


def _take(found: Plan, path: str, number: int, name: str) -> None:
    found.taken.append(Taken(path=path, number=number))
    if path != name:
        found.remarks.append(Remarked(path=path, remark=Remark.COMPOSED_NAME))


def _is_folder(record: Record) -> bool:
    """Whether the entry is a folder; raises ContentRefused for what is neither a file, a folder nor a link.

    The type is believed whatever system the entry is said to come from: some readers do.
    """
    kind = stat.S_IFMT(record.mode)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
        raise ContentRefused(Refusal.DEVICE, entry=shown(record.name))
    ends_as_folder = record.name.endswith("/")
    is_said = kind == stat.S_IFDIR or (kind == 0 and bool(record.attributes & _FOLDER_ATTRIBUTE))
    if (is_said and not ends_as_folder) or (ends_as_folder and (record.size or kind == stat.S_IFLNK)):
        raise ContentRefused(Refusal.FILE_AS_FOLDER, entry=shown(record.name))
    return ends_as_folder


def is_executable(record: Record) -> bool:
    """Whether the owner may execute it, where it comes from a system that writes this down."""
    return record.system in names.UNIX and bool(record.mode & stat.S_IXUSR)


def _unwrap(found: Plan) -> None:
    """Take the folder away that stands around everything: around what is left out too, or it would be gone from a
    project whose files lie in one folder beside its ``.git``."""
    everything = [taken.path for taken in found.taken]
    everything += [said.path for said in found.remarks if said.remark != Remark.RESOURCE_FORK]
    tops = {path.partition("/")[0] if "/" in path else "" for path in everything}
    if len(tops) != 1 or "" in tops or not found.taken:
        return
    found.unwrapped = tops.pop()
    below = _below(found, found.unwrapped)
    beside = [said for said in found.remarks if not said.path.startswith(f"{found.unwrapped}/")]
    found.taken = below.taken
    found.remarks = below.remarks + beside
    found.remarks.append(Remarked(path=found.unwrapped, remark=Remark.UNWRAPPED))


def _folder_asked_for(subdirectory: str) -> str:
    try:
        return paths.checked(subdirectory.strip("/"))
    except ContentRefused:
        raise SubdirectoryNotFound("the archive has no such folder") from None


def _below(found: Plan, folder: str) -> Plan:
    """What lies in ``folder``, under the names it has there."""
    start = f"{folder}/"
    below = Plan(
        taken=[
            Taken(path=taken.path.removeprefix(start), number=taken.number)
            for taken in found.taken
            if taken.path.startswith(start)
        ],
        remarks=[
            Remarked(path=said.path.removeprefix(start), remark=said.remark)
            for said in found.remarks
            if said.path.startswith(start)
        ],
        unwrapped=found.unwrapped,
    )
    if not below.taken and not below.remarks:
        raise SubdirectoryNotFound("the archive has no such folder")
    return below


def _check_sizes(records: Sequence[Record], limits: ContentLimits) -> None:
    if len(records) > limits.files:
        raise ContentRefused(Refusal.TOO_MANY_FILES, limit=limits.files)
    for record in records:
        if record.size > limits.file_bytes:
            raise ContentRefused(Refusal.FILE_TOO_LARGE, entry=shown(record.name), limit=limits.file_bytes)
        if record.size > RATIO_FILE_BYTES and record.size > RATIO * record.packed:
            raise ContentRefused(Refusal.RATIO, entry=shown(record.name), limit=RATIO)
        if record.method == STORED and record.packed != record.size:
            raise ContentRefused(Refusal.SIZE_MISMATCH, entry=shown(record.name))
    total = sum(record.size for record in records)
    if total > limits.bytes:
        raise ContentRefused(Refusal.TOO_MANY_BYTES, limit=limits.bytes)
    if total > RATIO_BYTES and total > RATIO * sum(record.packed for record in records):
        raise ContentRefused(Refusal.RATIO, limit=RATIO)

"""What the provider answered, sealed, on this machine's disk until the database has it.

One file for each refresh under way, made and filled with zeros before the provider is called: a full disk then
stops the refresh instead of losing its answer. The envelopes in it are those that the row will hold, bound to
the row, its owner, its host and the new generation.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from credentials.conf import conf

_ROOM = 16 * 1024
_DONE = ".json"
_OPEN = ".open"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A new pair as it will be stored: everything sealed, nothing in clear. ``generation`` is the new one.

    Whose it is stands here too: by the time it can be stored, its row may be gone.
    """

    credential: UUID
    owner_id: str
    owner_name: str
    host: UUID
    kind: str
    account_name: str
    oauth_redirect_uri: str
    generation: int
    by: str
    key_id: str
    access_envelope: bytes
    refresh_envelope: bytes
    fingerprint: bytes
    received_at: datetime
    expires_at: datetime | None
    refresh_ends_at: datetime | None
    scopes: tuple[str, ...] | None


class Entry:
    """The file of one refresh."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pair: Pair) -> None:
        """Put the pair on the disk; when this returns it survives a power cut."""
        text = json.dumps(_packed(pair)).encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if os.write(descriptor, text) != len(text):
                raise OSError("the journal has no room")
            os.ftruncate(descriptor, len(text))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        done = self.path.with_suffix(_DONE)
        self.path.rename(done)
        self.path = done
        _sync_folder()

    def remove(self) -> None:
        """The database has it, or there was no answer."""
        self.path.unlink(missing_ok=True)
        _sync_folder()


def folder() -> Path:
    return conf.data_dir / "refresh-journal"


def prepare(name: str) -> Entry:
    """Make the file and its room on the disk. Raises OSError where that cannot be: then nobody is asked."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder() / f"{name}{_OPEN}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, bytes(_ROOM))
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    _sync_folder()
    return Entry(path)


def entries() -> Iterator[tuple[Entry, Pair]]:
    """The answers that lie here, oldest first. A file that cannot be read stays for a person to look at."""
    for path in sorted(folder().glob(f"*{_DONE}"), key=_age):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            yield Entry(path), _unpacked(json.loads(path.read_bytes()))


def unreadable() -> list[str]:
    """The names of files that hold no readable answer."""
    readable = {entry.path for entry, _pair in entries()}
    return [path.name for path in sorted(folder().glob(f"*{_DONE}")) if path not in readable]


def drop_empty(*, older_than: float) -> None:
    """Drop the files that never got an answer and were made before ``older_than`` (seconds since the epoch)."""
    for path in folder().glob(f"*{_OPEN}"):
        if _age(path) < older_than:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _sync_folder() -> None:
    descriptor = os.open(folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_BYTES = ("access_envelope", "refresh_envelope", "fingerprint")
_TIMES = ("received_at", "expires_at", "refresh_ends_at")


def _packed(pair: Pair) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(pair, name) for name in Pair.__slots__}
    values["credential"], values["host"] = str(pair.credential), str(pair.host)
    for name in _BYTES:
        values[name] = base64.b64encode(values[name]).decode("ascii")
    for name in _TIMES:
        values[name] = values[name].isoformat() if values[name] is not None else None
    return values


def _unpacked(values: dict[str, Any]) -> Pair:
    read = dict(values)
    read["credential"], read["host"] = UUID(values["credential"]), UUID(values["host"])
    for name in _BYTES:
        read[name] = base64.b64decode(values[name], validate=True)
    for name in _TIMES:
        read[name] = datetime.fromisoformat(values[name]) if values[name] is not None else None
    read["scopes"] = tuple(values["scopes"]) if values["scopes"] is not None else None
    return Pair(**read)

"""Changes a key file: one more entry, or another one first. No entry is ever lost on the way.

The new content is written beside the file, brought to the disk, read back with every check that a start
makes, and only then renamed over the file. Whoever reads meanwhile sees the old ring or the new one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from credentials.crypto.keyring import KeyRing, generate_entry
from credentials.crypto.secret import Secret
from credentials.crypto.sources import FileSource, check_directories, sync_directory
from credentials.errors import KeyRingInvalid


def prepend_entry(path: Path) -> KeyRing:
    """Add a new key before all others: it encrypts from the next start on. Returns the ring as it is now.

    Raises as FileSource does, and OSError where the disk takes no more; the file is then as it was.
    """
    return _changed(path, lambda ring, old: _inserted(old, Secret(generate_entry()), first=True))


def append_entry(path: Path) -> KeyRing:
    """Add a new key after all others: it only decrypts, until :func:`promote_entry` puts it first."""
    return _changed(path, lambda ring, old: _inserted(old, Secret(generate_entry()), first=False))


def promote_entry(path: Path, key_id: str) -> KeyRing:
    """Put an entry that the file has before all others. Raises KeyRingInvalid where it has no such entry."""
    return _changed(path, lambda ring, old: _moved(ring, old, key_id))


def _changed(path: Path, change: Callable[[KeyRing, Secret], Secret]) -> KeyRing:
    """Change a key file. Two that do so at the same time come one after the other."""
    path = path.absolute()
    check_directories(path, mounted=False)
    with _locked(path.parent):
        source = FileSource(path)
        before = source.load()
        with source.read() as old, change(before, old) as new:
            _replace(path, new, keeping=set(before.ids))
        return source.load()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    # The file itself is replaced, so a lock on it would not be the next one's; the directory stays.
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KeyRingInvalid(f"{directory} cannot be opened: {os.strerror(error.errno or 0)}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _inserted(old: Secret, entry: Secret, *, first: bool) -> Secret:
    """The text with ``entry`` on a line of its own: before the first entry, or at the end."""
    lines = old.reveal().splitlines()
    places = [number for number, line in enumerate(lines) if _entries(line)]
    lines.insert(places[0] if first else len(lines), entry.reveal())
    return Secret("\n".join(lines) + "\n")


def _moved(ring: KeyRing, old: Secret, key_id: str) -> Secret:
    """The text with the entry of ``key_id`` before all others; comments stay where they are."""
    if key_id not in ring.ids:
        raise KeyRingInvalid(f"The key file has no such key. It has: {', '.join(ring.ids)}.")
    if key_id == ring.primary.id:
        return Secret(old.reveal_bytes())
    lines, moved = [], Secret("")
    for line in old.reveal().splitlines():
        others = [entry for entry in _entries(line) if not entry.startswith(f"{key_id}:")]
        if others == _entries(line):
            lines.append(line)
            continue
        moved = Secret(next(entry for entry in _entries(line) if entry not in others))
        lines.append(", ".join(others) + line[len(_code(line)) :])
    return _inserted(Secret("\n".join(lines)), moved, first=True)


def _code(line: str) -> str:
    return line.partition("#")[0]


def _entries(line: str) -> list[str]:
    return [entry for part in _code(line).split(",") if (entry := part.strip())]


def _replace(path: Path, content: Secret, *, keeping: set[str]) -> None:
    fresh = path.with_name(f".{path.name}.new")
    # What a killed run left behind; nobody else writes it while the directory is locked.
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            _write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not keeping <= set(FileSource(fresh).load().ids):
            raise KeyRingInvalid(f"{path} was not changed: its new form would not hold every key.")
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write(descriptor: int, content: Secret) -> None:
    written, size = 0, len(content.reveal_bytes())
    while written < size:
        written += os.write(descriptor, content.reveal_bytes()[written:])

"""Where the key ring comes from: an environment variable, a file, a systemd credential or a command.

Never from settings, which end up in tracebacks and error mails, and never from the database it protects.
What a source reads stays inside a :class:`Secret` until the ring is parsed, so that no error report shows
it among the local variables.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from credentials.crypto.keyring import KeyRing, generate_entry
from credentials.crypto.secret import Secret
from credentials.errors import ConfigurationError, KeyRingInvalid, KeySourceUnsafe

LIMIT_BYTES = 64 * 1024
COMMAND_SECONDS = 10.0

_WRITABLE_BY_OTHERS = 0o022
_FORMS = (
    "The key source must read env:NAME, file:/absolute/path, credential:NAME "
    "or command:/absolute/program argument …"
)
_KEY_FILE_HEAD = (
    "# Forgekey key ring: one entry id:base64key per line, the first one encrypts.\n"
    "# Keep a copy apart from the database: without it no stored credential can be opened.\n"
)


class KeySource(Protocol):
    """Something that yields the key ring."""

    def load(self) -> KeyRing:
        """The ring. Raises KeyRingInvalid or KeySourceUnsafe, whose text says what to do."""
        ...


@dataclass(frozen=True, slots=True)
class EnvSource:
    """The ring in one environment variable.

    Children inherit the environment and /proc shows it until the process is hardened: prefer a file.
    """

    name: str
    environ: MutableMapping[str, str] = field(repr=False)

    def load(self) -> KeyRing:
        """The ring; the variable is removed first, so this works once per process."""
        content = Secret(os.fsencode(self.environ.pop(self.name, "")))
        return _ring_in(content, f"The environment variable {self.name}")


@dataclass(frozen=True, slots=True)
class FileSource:
    """The ring in a file that only this user, or root, can read or replace.

    ``allow_mode_0444`` is for directories that an orchestrator mounts, as Kubernetes does: readable for
    all, reached by symbolic links. ``allow_mode_0440`` is for systemd credentials: a POSIX access list
    makes their group bits show the list's mask, though no group can read them (systemd issue 29435).
    """

    path: Path
    allow_mode_0444: bool = False
    allow_mode_0440: bool = False

    def load(self) -> KeyRing:
        """The ring. Raises as :meth:`read` does, and KeyRingInvalid where the file holds no ring."""
        return _ring_in(self.read(), self._where)

    def read(self) -> Secret:
        """What the file holds, checked on the open descriptor, so that it cannot be swapped in between."""
        check_directories(self.path, mounted=self.allow_mode_0444)
        descriptor = self._opened(self._where)
        try:
            self._check(os.fstat(descriptor), self._where)
            return _read(descriptor)
        finally:
            os.close(descriptor)

    @property
    def _where(self) -> str:
        return f"The key file {self.path}"

    def _opened(self, where: str) -> int:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        if not self.allow_mode_0444:
            flags |= os.O_NOFOLLOW
        try:
            return os.open(self.path, flags)
        except OSError as error:
            number = error.errno
        if number == errno.ELOOP:
            raise KeySourceUnsafe(f"{where} is a symbolic link. Name the file itself.")
        if number == errno.ENOENT:
            raise KeyRingInvalid(f"{where} does not exist. Restore it from your backup, or correct the path.")
        raise KeyRingInvalid(f"{where} cannot be opened: {os.strerror(number or 0)}.")

    def _check(self, found: os.stat_result, where: str) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise KeySourceUnsafe(f"{where} is not a regular file. Name a regular file.")
        if found.st_uid not in (0, os.geteuid()):
            raise KeySourceUnsafe(f"{where} belongs to another user. Give it to the user that runs Forgekey.")
        if found.st_nlink != 1:
            raise KeySourceUnsafe(f"{where} has a second name (a hard link). Copy it to a new file.")
        mode = stat.S_IMODE(found.st_mode)
        if mode & self._forbidden_mode:
            raise KeySourceUnsafe(f"{where} is open to other users (mode {mode:04o}). Run: chmod 600 on it.")

    @property
    def _forbidden_mode(self) -> int:
        if self.allow_mode_0444:
            return 0o033
        return 0o037 if self.allow_mode_0440 else 0o077


@dataclass(frozen=True, slots=True)
class CommandSource:
    """The ring on the standard output of a program: a password manager, a cloud's secret store.

    ``argv`` starts with an absolute path and is run without a shell, with an environment of PATH and
    LC_ALL only; a program that needs more gets a small script around it. ``seconds`` bounds the whole run.
    """

    argv: Sequence[str]
    seconds: float = COMMAND_SECONDS

    def load(self) -> KeyRing:
        """The ring. The program's error output is dropped: it may repeat what it was asked for."""
        where = self._where
        content, problem = self._run()
        if problem:
            raise KeyRingInvalid(f"{where} {problem}. Run it by hand to see why.")
        return _ring_in(content, where)

    @property
    def _where(self) -> str:
        if not self.argv or not os.path.isabs(self.argv[0]):
            raise ConfigurationError(f"A key command starts with an absolute path. {_FORMS}")
        return f"The key command {self.argv[0]}"

    def _run(self) -> tuple[Secret, str]:
        """What the program wrote, and what went wrong."""
        deadline = time.monotonic() + self.seconds
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own program, an argv without a shell
                list(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return Secret(""), f"cannot be run ({os.strerror(error.errno or 0)})"
        with process:
            try:
                return _outcome_of(process, deadline)
            finally:
                # Its children, too: one that holds the pipe open would outlive the program. Before it is
                # waited for, its process group cannot be anybody else's.
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)


def source_from(text: str, environ: MutableMapping[str, str], *, allow_mode_0444: bool = False) -> KeySource:
    """The source that ``text`` names: ``env:``, ``file:``, ``credential:`` or ``command:`` and its place.

    ``allow_mode_0444`` goes to file sources. Raises ConfigurationError, which never repeats ``text``:
    somebody may have put the key itself there.
    """
    kind, _, place = text.partition(":")
    problem = _FORMS
    if kind == "env" and place:
        return EnvSource(place, environ)
    if kind == "file" and os.path.isabs(place):
        return FileSource(Path(place), allow_mode_0444=allow_mode_0444)
    if kind == "credential" and place:
        return _credential_source(place, environ)
    if kind == "command" and os.path.isabs(place):
        argv = _split(place)
        if argv:
            return CommandSource(argv)
        problem = "The key command has a quotation mark that is never closed."
    del text, kind, place
    raise ConfigurationError(problem)


def create_key_file(path: Path) -> KeyRing:
    """Create ``path`` with one new key, mode 0600, and return the ring read back from it.

    It is on the disk, file and directory entry, when this returns. Raises KeyRingInvalid where anything
    exists at ``path`` (a key is never overwritten) or it cannot be created, KeySourceUnsafe where others
    could replace it, OSError where the disk takes no more.
    """
    check_directories(path, mounted=False)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyRingInvalid(f"{path} exists already; a key file is never overwritten.") from None
    except OSError as error:
        raise KeyRingInvalid(f"{path} cannot be created: {os.strerror(error.errno or 0)}.") from None
    try:
        _write_new_entry(descriptor)
    except BaseException:
        # Half a key file would be refused for ever, and nothing was encrypted with it yet.
        path.unlink()
        raise
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    return FileSource(path).load()


def _write_new_entry(descriptor: int) -> None:
    # The umask may have taken bits away from the mode asked for.
    os.fchmod(descriptor, 0o600)
    with os.fdopen(os.dup(descriptor), "w", encoding="ascii") as file:
        file.write(f"{_KEY_FILE_HEAD}{generate_entry()}\n")
    os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Bring a directory's entries to the disk: what was created or renamed in it survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _credential_source(name: str, environ: Mapping[str, str]) -> FileSource:
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if not os.path.isabs(directory):
        raise ConfigurationError(
            "credential:NAME works in a systemd unit only, where LoadCredential= or "
            "LoadCredentialEncrypted= sets CREDENTIALS_DIRECTORY."
        )
    if "/" in name or name in (".", ".."):
        raise ConfigurationError(f"The name of a systemd credential has no slash. {_FORMS}")
    return FileSource(Path(directory) / name, allow_mode_0440=True)


def _split(command: str) -> tuple[str, ...]:
    """The words of ``command`` as a shell would read them; none where a quotation is not closed."""
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return ()


def _ring_in(content: Secret, where: str) -> KeyRing:
    size = len(content.reveal_bytes())
    if size > LIMIT_BYTES:
        raise KeyRingInvalid(f"{where} holds more than {LIMIT_BYTES // 1024} KiB, which is no key ring.")
    if not content:
        raise KeyRingInvalid(f"{where} is missing or empty. Put a key-ring entry there; see generate_key.")
    with content:
        try:
            text = Secret(content.reveal())
        except ValueError:
            text = None
        if text is None:
            raise KeyRingInvalid(f"{where} is not UTF-8 text.")
        return KeyRing.parse(text.reveal())


def _read(descriptor: int) -> Secret:
    """What the file holds, at most one byte more than allowed."""
    content = bytearray()
    while len(content) <= LIMIT_BYTES:
        piece = os.read(descriptor, LIMIT_BYTES + 1 - len(content))
        if not piece:
            break
        content += piece
    return Secret.from_buffer(content)


def _outcome_of(process: subprocess.Popen[bytes], deadline: float) -> tuple[Secret, str]:
    assert process.stdout is not None
    content, at_end = _read_until(process.stdout, deadline)
    if not at_end:
        return content, "wrote more than 64 KiB or did not end in time"
    try:
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return content, "did not end in time"
    return content, f"ended with status {status}" if status else ""


def _read_until(pipe: IO[bytes], deadline: float) -> tuple[Secret, bool]:
    """What comes through ``pipe``, and whether its end came before the deadline and the size limit."""
    content = bytearray()
    at_end = False
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not at_end and len(content) <= LIMIT_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            piece = os.read(pipe.fileno(), LIMIT_BYTES + 1 - len(content))
            content += piece
            at_end = not piece
    return Secret.from_buffer(content), at_end


def check_directories(path: Path, *, mounted: bool) -> None:
    """Raise KeySourceUnsafe for a path on whose way somebody else could put another file.

    A sticky directory such as /tmp is fine further up, since nobody can rename what is not theirs in it,
    and so is one that only the user's private group may write. The file's own directory must be neither,
    except in a mounted secret volume, which is sticky itself.
    """
    absolute = path.absolute()
    resolved = Path(os.path.realpath(absolute))
    for directory in {*absolute.parents, *resolved.parents}:
        direct = directory in (absolute.parent, resolved.parent)
        try:
            found = directory.stat()
        except OSError:
            # Opening the file will say it better.
            continue
        if _others_could_write(found, strict=direct and not mounted):
            raise KeySourceUnsafe(
                f"The directory {directory} on the way to the key file can be changed by other users "
                f"(mode {stat.S_IMODE(found.st_mode):04o}). Run: chmod go-w on it."
            )


def _others_could_write(found: os.stat_result, *, strict: bool) -> bool:
    writable = found.st_mode & _WRITABLE_BY_OTHERS
    if not writable or strict:
        return bool(writable)
    if found.st_mode & stat.S_ISVTX:
        return False
    return writable != stat.S_IWGRP or not _is_private_group(found.st_gid)


def _is_private_group(gid: int) -> bool:
    """Whether this is the group that many distributions make for each user alone."""
    try:
        user = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    named_alike = user.pw_gid == gid and group.gr_name == user.pw_name
    return named_alike and set(group.gr_mem) <= {user.pw_name}

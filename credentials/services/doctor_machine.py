"""What the doctor sees around the database: files, the git program, and the hosts' network."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.db import connection

from credentials.conf import conf
from credentials.crypto.sources import FileSource, source_from
from credentials.errors import AddressError, ConfigurationError, ForgekeyError, ProviderUnreachable
from credentials.models import Host
from credentials.providers.http import Door
from credentials.services.remarks import Remark, ok, problem

_SECONDS = 5.0
_OTHERS = 0o077
_MAY_ENTER = 0o011

Reach = Callable[[Host], None]


def files() -> Iterator[Remark]:
    """Nobody but this user may read the data folder and what lies in it, and this user may write there."""
    folder = conf.data_dir
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        yield problem(
            "files", f"The data folder {folder} cannot be looked at: {error.strerror}.", "Create it."
        )
        return
    bad = list(_bad_files(folder, mode))
    yield from bad
    if not bad:
        yield ok("files", f"{folder} and what lies in it belong to this user alone.")


def _bad_files(folder: Path, mode: int) -> Iterator[Remark]:
    if mode & _OTHERS:
        yield problem(
            "files",
            f"The data folder {folder} is open to other users (mode {mode:04o}).",
            f"chmod 700 {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        yield problem(
            "files",
            f"This user may not write the data folder {folder}.",
            "Run this as the user that runs Forgekey, or give that user the folder.",
        )
    for path in _private_files(folder):
        if path.exists() and _is_exposed(path):
            mode = stat.S_IMODE(path.stat().st_mode)
            yield problem("files", f"{path} is open to other users (mode {mode:04o}).", f"chmod 600 {path}")


def _private_files(folder: Path) -> Sequence[Path]:
    found = [folder / "secret-key", folder / "audit-anchor"]
    if connection.vendor == "sqlite":
        database = Path(connection.settings_dict["NAME"])
        found += [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
    try:
        source = source_from(conf.key_source, os.environ)
    except ConfigurationError:
        return found
    return [*found, source.path] if isinstance(source, FileSource) and not source.allow_mode_0440 else found


def _is_exposed(path: Path) -> bool:
    """Whether others may open it: behind a door that is closed to them its own mode does not matter."""
    return bool(path.stat().st_mode & _OTHERS and path.parent.stat().st_mode & _MAY_ENTER)


def git_program() -> Iterator[Remark]:
    """Imports and the credential helper need the git program."""
    place = shutil.which("git")
    remedy = "Install git, and see that this user's PATH has it."
    if place is None:
        yield problem("git", "There is no git program on the PATH.", remedy)
        return
    try:
        answer = subprocess.run(  # noqa: S603 - a program from the operator's own PATH, fixed words
            [place, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        yield problem("git", f"{place} does not run.", remedy)
        return
    yield ok("git", f"{answer.stdout.strip()} at {place}.")


def reach(host: Host) -> None:
    """Ask a host's API for anything; every answer will do. Raises AddressError, ProviderUnreachable."""
    door = Door(
        allow_private=host.allow_private_network,
        timeout=(_SECONDS, _SECONDS),
        deadline=_SECONDS,
        user_agent=conf.product_name,
    )
    try:
        door.request("GET", host.api_url)
    except (AddressError, ProviderUnreachable):
        raise
    except ForgekeyError:
        return  # it answered, if only to say that its quota is spent


def reachable_hosts(*, reach: Reach = reach) -> Iterator[Remark]:
    """Every enabled host answers within a few seconds."""
    enabled = list(Host.objects.filter(is_enabled=True).order_by("slug"))
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(lambda host: _reached(host, reach), enabled)


def _reached(host: Host, reach: Reach) -> Remark:
    check = f"host {host.slug}"
    try:
        reach(host)
    except AddressError as error:
        return problem(
            check,
            f"{host.api_url} may not be asked. {error}",
            "Correct it with add_host; a host on a private network needs --allow-private-network.",
        )
    except ProviderUnreachable as error:
        return problem(
            check,
            f"{host.api_url} does not answer ({error.evidence or error}).",
            "See that this machine resolves the name, that the firewall lets it out and that it trusts the "
            "host's certificate. If the host is down, wait; if it is gone, disable it.",
        )
    return ok(check, f"{host.api_url} answers.")

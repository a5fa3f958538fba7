"""Looks for secrets, however they are written, in every place a running demo writes to or shows."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
import zlib
from collections.abc import Mapping
from contextlib import closing, suppress
from html import escape
from pathlib import Path
from urllib.parse import quote

from tests.demo import Browser, Demo

SQLITE = "forgekey.sqlite3"


def forms_of(secret: str) -> set[bytes]:
    """A secret as it might lie somewhere: raw, hex, in an address, in JSON, in HTML, in base64 at each alignment.

    base64 of ``user:secret`` is one of the alignments, whatever the user: the letters at both ends, which
    depend on the neighbors, are left out.
    """
    raw = secret.encode()
    in_json = json.dumps(secret)[1:-1]
    texts = {secret, quote(secret, safe=""), in_json, in_json.replace("/", "\\/"), escape(secret)}
    found = {text.encode() for text in texts} | {raw.hex().encode(), raw.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            found.add(encode(b"x" * shift + raw)[4:-4])
    return found


def sweep(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """The places in which any form of any secret was found."""
    forms = {name: forms_of(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, written in forms.items()
        if any(form in content for form in written)
    ]


def everything(demo: Demo) -> dict[str, bytes]:
    """Every place the product writes to, shows, or passes on."""
    dumped = demo.manage("dumpdata")
    return {
        **files(demo.data_dir),
        **(postgresql_dumps(demo.database) if demo.database else sqlite_dump(demo.data_dir / SQLITE)),
        **admin_pages(demo),
        **processes(),
        "log": demo.log.read_bytes(),
        "dumpdata": dumped.encode(),
        "sessions": b"\n".join(sessions(dumped)),
    }


def files(folder: Path) -> dict[str, bytes]:
    """The data folder; with SQLite, the database with its -wal and -shm is in it."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        # The sandbox plays the Git hosts: it is where the tokens were made.
        if path.is_file() and name.parts[0] != "sandbox":
            with suppress(FileNotFoundError):  # SQLite tidies up after its last connection
                found[str(name)] = path.read_bytes()
    return found


def sqlite_dump(path: Path) -> dict[str, bytes]:
    """As statements, too: in the file, a long value goes on in another page."""
    with closing(sqlite3.connect(path)) as database:
        return {"dump": "\n".join(database.iterdump()).encode()}


def postgresql_dumps(address: str) -> dict[str, bytes]:
    """Both kinds of backup, and what the server shows of running statements."""
    commands = {
        "plain pg_dump": ("pg_dump", "--format=plain", address),
        "custom pg_dump": ("pg_dump", "--format=custom", "--compress=0", address),
        "statements": ("psql", "--no-psqlrc", "-c", "SELECT * FROM pg_stat_activity", address),
    }
    return {
        name: subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
        for name, words in commands.items()
    }


def sessions(dumped: str) -> list[bytes]:
    """What the session rows hold: in the table it is compressed, and no sweep would see into it."""
    opened = []
    for row in json.loads(dumped):
        if row["model"] == "sessions.session":
            text = row["fields"]["session_data"].rpartition(":")[0].rpartition(":")[0]
            packed = base64.urlsafe_b64decode(text.removeprefix(".") + "===")
            opened.append(zlib.decompress(packed) if text.startswith(".") else packed)
    assert opened
    return opened


def admin_pages(demo: Demo) -> dict[str, bytes]:
    """Every page a superuser reaches by following links from the admin's index."""
    browser = Browser(demo.base, "admin")
    pages: dict[str, bytes] = {}
    waiting = ["/admin/"]
    while waiting and len(pages) < 120:
        path = waiting.pop(0)
        if path in pages or "logout" in path:
            continue
        pages[path] = browser.get(path).content
        links = re.findall(r'href="(/admin/[^"#]*)"', pages[path].decode("utf-8", "replace"))
        waiting += [link for link in links if "?" not in link and link not in pages]
    assert len(pages) > 20
    return pages


def processes() -> dict[str, bytes]:
    """Command lines and environments of every process on this machine."""
    found = {}
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            with suppress(OSError):
                found[str(path)] = path.read_bytes()
    return found

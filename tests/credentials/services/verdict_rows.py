"""Reads the tables of verdict_table/, and sets the sandbox and the database up as one row says.

README.md there explains the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AccessState, Credential, Hold, Host, HostHealth, Status
from credentials.providers.tokens import Kind
from credentials.services import circuit_breaker, connect, disconnect, holds, hosts
from credentials.services.connect import ManualEntry
from tests import builders
from tests.sandbox import Minted, RunningSandbox

TABLES: Final = Path(__file__).with_name("verdict_table")
KINDS: Final = {"project_access_token": Kind.ACCESS_TOKEN, "app_user_token": Kind.APP_TOKEN}
NOTHING: Final = "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a table. ``verdict`` is the code, ``by`` the number of the token that works, 0 for none."""

    host: str
    situation: str
    tokens: tuple[str, ...]
    switched: tuple[str, ...]
    address: str
    verdict: str
    by: int
    steps: tuple[str, ...]
    board: str
    status: str
    shown: bool


def table(name: str) -> Iterator[list[str]]:
    """The cells of every line of the tables in one file, without the headings."""
    lines = (TABLES / f"{name}.md").read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if line.startswith("| ") and not line.startswith("| --") and before.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split(" |")]


def rows(host: str) -> list[Row]:
    """The specification of one host."""
    return [_row(host, cells) for cells in table(host)]


def _row(host: str, cells: Sequence[str]) -> Row:
    situation, tokens, switched, address, verdict, steps, board, status, shown = cells
    code, _by, number = verdict.partition(" by ")
    assert shown in {"yes", "no"}, f"{situation}: {shown}"
    return Row(
        host=host,
        situation=situation,
        tokens=_listed(tokens, " + "),
        switched=_listed(switched, "; "),
        address=address,
        verdict=code,
        by=int(number or 0),
        steps=_listed(steps, ", "),
        board=board,
        status=status,
        shown=shown == "yes",
    )


def _listed(cell: str, separator: str) -> tuple[str, ...]:
    return () if cell == NOTHING else tuple(cell.split(separator))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A token as a cell describes it: ``pasted personal_token repo @octo-bob for acme sso:sso-corp``."""

    kind: str
    scopes: tuple[str, ...]
    account: str
    resource: str | None
    organizations: tuple[str, ...]
    email: str | None
    is_pasted: bool


def wanted(cell: str) -> Wanted:
    words = cell.split()
    is_pasted = words[0] == "pasted"
    kind, *rest = words[1:] if is_pasted else words
    resource = rest[rest.index("for") + 1] if "for" in rest else None
    options = [word for word in rest if word.startswith(("@", "sso:", "email:"))]
    named = {word.partition(":")[0]: word.partition(":")[2] for word in options if ":" in word}
    return Wanted(
        kind=kind,
        scopes=tuple(word for word in rest if word not in {*options, "for", resource}),
        account=next((word[1:] for word in options if word.startswith("@")), "octo-alice"),
        resource=resource,
        organizations=tuple(word.removeprefix("sso:") for word in options if word.startswith("sso:")),
        email=named.get("email"),
        is_pasted=is_pasted,
    )


@dataclass(slots=True)
class Stage:
    """One row as it is played: the host, the person, and the person's credentials in the row's order."""

    row: Row
    sandbox: RunningSandbox
    owner: User
    host: Host
    minted: list[Minted]
    credentials: list[Credential]

    @property
    def address(self) -> str:
        is_whole = "://" in self.row.address
        return (
            self.row.address if is_whole else f"{self.sandbox.hosts[self.row.host].origin}/{self.row.address}"
        )

    def board(self) -> str:
        """What the board says of the owner in the address, for each credential in turn."""
        keys = [part.lower() for part in re.split(r"[/~]", self.row.address)]
        states = []
        for credential in self.credentials:
            found = credential.organizations.filter(organization__key__in=keys)
            states.append(" ".join(sorted(access.state for access in found)) or NOTHING)
        return ", ".join(states) or NOTHING

    def status(self) -> str:
        for credential in self.credentials:
            credential.refresh_from_db()
        return ", ".join(credential.status for credential in self.credentials) or NOTHING

    def was_shown(self) -> bool:
        """Whether the host was shown any credential."""
        return any(call["auth"] != "none" for call in self.sandbox.calls(self.row.host))


def stage(row: Row, sandbox: RunningSandbox, owner: User) -> Stage:
    """The sandbox and the database as the row describes them."""
    sandbox.control(row.host, "POST", "reset", {})
    set_up = Stage(
        row=row,
        sandbox=sandbox,
        owner=owner,
        host=builders.sandbox_host(sandbox, row.host),
        minted=[],
        credentials=[],
    )
    clauses = [clause.partition(": ")[::2] for clause in row.switched]
    later = [(subject, what) for subject, what in clauses if not _turn_at_host(set_up, subject, what)]
    for cell in row.tokens:
        _add_token(set_up, wanted(cell))
    for subject, what in later:
        _turn_later(set_up, subject, what)
    sandbox.control(row.host, "DELETE", "calls")
    return set_up


def _turn_at_host(stage: Stage, subject: str, what: str) -> bool:
    """Turn a switch of the host or of an organization, before any token is made; False for other clauses."""
    if subject in {"fault", "here"} or subject.startswith("token"):
        return False
    name, *values = what.split()
    change: dict[str, Any] = {name: values[0] if values else True}
    if subject == "host":
        stage.sandbox.control(stage.row.host, "POST", "settings", change)
        return True
    if name == "no":
        change = {values[0]: False}
    elif name.startswith("octo-"):
        change = {"members": change}
    stage.sandbox.control(stage.row.host, "POST", f"organizations/{subject}", change)
    return True


def _add_token(stage: Stage, token: Wanted) -> None:
    made = stage.sandbox.mint(
        stage.row.host,
        token.account,
        token.kind,
        token.scopes,
        organizations=token.organizations,
        resource=token.resource,
    )
    stage.minted.append(made)
    entry = ManualEntry(token=Secret(made.token))
    if stage.row.host == "bitbucket" and token.kind == "api_token":
        entry = replace(entry, email=token.email or made.email)
    if stage.row.host == "bitbucket-server" and token.kind == "personal_token":
        entry = replace(entry, username=made.username)
    if token.is_pasted:
        connected = connect.connect_token(
            actor=builders.SYSTEM, owner=stage.owner, host=stage.host, entry=entry
        )
        stage.credentials.append(connected.credential)
        return
    kind = KINDS.get(token.kind) or Kind(token.kind)
    stored = builders.credential(
        stage.owner, stage.host, token=made.token, kind=kind, email=entry.email, username=entry.username
    )
    stage.credentials.append(stored)


def _turn_later(stage: Stage, subject: str, what: str) -> None:
    """Turn what concerns tokens, the network, or this product, once the tokens are there."""
    if subject == "fault":
        stage.sandbox.control(stage.row.host, "POST", "faults", _fault(what))
    elif subject == "here":
        _turn_here(stage, what)
    else:
        number = int(subject.removeprefix("token") or 1) - 1
        _turn_token(stage, stage.minted[number], what)


def _turn_token(stage: Stage, token: Minted, what: str) -> None:
    name, *values = what.split()
    path = f"tokens/{token.id}"
    if name == "forgotten":
        stage.sandbox.control(stage.row.host, "DELETE", path)
        return
    changes: dict[str, dict[str, Any]] = {
        "revoked": {"revoked": True},
        "expired": {"expires_in": 0},
        "pending": {"pending": True},
        "scopes": {"scopes": values},
    }
    stage.sandbox.control(stage.row.host, "POST", path, changes[name])


def _fault(what: str) -> dict[str, Any]:
    words, _at, prefix = what.partition(" at ")
    where = {"path_prefix": prefix} if prefix else {}
    match words.split():
        case ["quota", kind]:
            return {**where, "quota": kind}
        case [("html" | "cut") as name]:
            return {**where, name: True}
        case [status, *names]:
            return {**where, "status": int(status), "body": "{}", **dict.fromkeys(names, True)}
    raise ValueError(what)


def _turn_here(stage: Stage, what: str) -> None:
    """What this product itself knows, or has been told."""
    now, credential = timezone.now(), stage.credentials[0] if stage.credentials else None
    match what.split():
        case ["host", "disabled"]:
            hosts.set_enabled(actor=builders.SYSTEM, host=stage.host, enabled=False)
        case ["breaker", "open"]:
            HostHealth.objects.create(
                host=stage.host,
                failures=circuit_breaker.FAILURES,
                retry_at=now + circuit_breaker.PAUSE,
                last_failure="503",
            )
        case ["ended"] if credential:
            credential.expires_at = now - timedelta(minutes=1)
            credential.save()
        case ["status", status] if credential:
            credential.status = Status(status)
            credential.save()
        case ["rests", reason] if credential:
            credential.hold_until, credential.hold_reason = now + holds.FIRST, Hold(reason)
            credential.refusals = 1
            credential.save()
        case ["board", key, state] if credential:
            builders.access(credential, key, state=AccessState(state))
        case ["disconnected"] if credential:
            disconnect.disconnect(actor=builders.SYSTEM, credential=credential)
        case _:
            raise ValueError(what)


def links(host: str) -> dict[str, str]:
    """The pages of one host by the names that the tables use."""
    return {name: address for slug, name, address in table("links") if slug == host}

"""Examines the installation with a canary credential: what is wrong, and what mends it.

Everything is looked at as the product itself would use it, and nothing stays: what must be written to be
tried is written in a transaction that is rolled back. No remark holds a secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import ForgekeyError
from credentials.models import AuditEvent, AuditSeal, Credential, Host, PurposeKey, RingKey, Status
from credentials.models.append_only import missing_guards
from credentials.providers.tokens import Kind
from credentials.services import (
    audit,
    doctor_machine,
    doctor_running,
    doctor_storage,
    sealed_rows,
    vault,
)
from credentials.services.audit import Actor, Subject
from credentials.services.remarks import Level, Remark, ok, problem, warning

_ACTOR = Actor.system("doctor")
_SQLITE_FULL = 2
_RESTORE_KEY = "Restore the entry from your backup of the key ring and restart every process."

Check = Callable[[], Iterator[Remark]]


def examine(*, now: datetime, offline: bool = False) -> Iterator[Remark]:
    """Look at everything, one remark after the other; with ``offline`` no host is asked."""
    yield from _settings()
    if (broken := _database_is_out()) is not None:
        yield broken
        return
    unwritable = list(doctor_running.writes())
    yield from unwritable
    if unwritable:
        yield from _carefully("disk", doctor_running.disks)
        return
    yield from _carefully("database", _durability)
    tables = list(_carefully("migrations", _migrations))
    yield from tables
    if all(remark.level is Level.OK for remark in tables):
        yield from _what_is_stored(now)
        if not offline:
            yield from _carefully("hosts", doctor_machine.reachable_hosts)
    yield from _carefully("clocks", doctor_running.clocks)
    yield from _carefully("disk", doctor_running.disks)
    yield from _carefully("files", doctor_machine.files)
    yield from doctor_storage.storage()
    yield from doctor_machine.git_program()


def _what_is_stored(now: datetime) -> Iterator[Remark]:
    yield from _carefully("audit guards", _guards)
    yield from _keys()
    yield from _carefully("worker", lambda: _seals(now))
    yield from _carefully("duties", lambda: doctor_running.duties(now))
    yield from _carefully("refresher", lambda: doctor_running.refresher(now))
    yield from _carefully("refresher", doctor_running.refresh_journal)
    yield from _carefully("queues", lambda: doctor_running.queues(now))
    yield from _carefully("hosts", doctor_running.clients)
    yield from _carefully("archives", doctor_storage.archives)


def _carefully(name: str, check: Check) -> Iterator[Remark]:
    """What one check finds; that it cannot be carried out is a remark, too."""
    try:
        yield from list(check())
    except DatabaseError as error:
        yield problem(
            name,
            f"This could not be looked at ({type(error).__name__}).",
            "See the database's own log, mend it and run this again.",
        )
    except ForgekeyError as error:
        yield problem(name, str(error), "Do what it says, then run this again.")


def _settings() -> Iterator[Remark]:
    found = [message for message in checks.run_checks() if not message.is_silenced()]
    for message in found:
        name = problem if message.is_serious() else warning
        yield name("settings", f"{message.id}: {message.msg}", message.hint or "See docs/configure.md.")
    if not found:
        yield ok("settings", "Every system check passes.")


# --- The database -------------------------------------------------------------------------------------


def _database_is_out() -> Remark | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, ImproperlyConfigured) as error:
        first_line = str(error).strip().partition("\n")[0]
        return problem(
            "database",
            f"The database does not answer: {first_line}",
            "Start it, or correct DATABASE_URL. Nothing else was looked at.",
        )
    return None


def _durability() -> Iterator[Remark]:
    """A commit must be on the disk: a secret may leave only behind an event that stays."""
    wrong = list(_wrong_on_sqlite() if connection.vendor == "sqlite" else _wrong_on_postgresql())
    yield from wrong
    if not wrong:
        yield ok("database", f"{connection.display_name} answers, and a commit survives a power cut.")


def _wrong_on_sqlite() -> Iterator[Remark]:
    if int(_asked("PRAGMA synchronous")) < _SQLITE_FULL:
        yield problem(
            "database",
            "SQLite does not wait for the disk (synchronous is below FULL): a power cut loses audit events.",
            "Put PRAGMA synchronous=FULL back into the init_command of DATABASES.",
        )


def _wrong_on_postgresql() -> Iterator[Remark]:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if _asked(f"SHOW {name}") == "off":
            yield problem(
                "database",
                f"PostgreSQL runs with {name} = off: a power cut loses audit events.",
                f"Set {name} = on for this database and role, and reload PostgreSQL.",
            )


def _asked(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[0])


def _migrations() -> Iterator[Remark]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        first = plan[0][0]
        yield problem(
            "migrations",
            f"{len(plan)} migrations are pending, {first.app_label}.{first.name} first.",
            "python manage.py migrate; nothing that lies in tables was looked at.",
        )
    else:
        yield ok("migrations", "The tables are up to date.")


def _guards() -> Iterator[Remark]:
    if missing := missing_guards(connection):
        yield problem(
            "audit guards",
            f"Triggers that keep the trail append-only are gone: {', '.join(sorted(missing))}.",
            "Find out who removed them, run verify_audit, and restore the tables from a backup that has them.",
        )
    else:
        yield ok("audit guards", "The database refuses to change or remove an event.")


# --- Keys ---------------------------------------------------------------------------------------------


def _keys() -> Iterator[Remark]:
    """The ring first; without one, what can still be said."""
    ring = list(_carefully("key ring", _ring))
    yield from ring
    if ring[-1].level is Level.OK:
        for name, check in _CHECKS_OF_KEYS:
            yield from _carefully(name, check)
    elif ring[-1].level is Level.PROBLEM:
        yield from _carefully("keys in use", _needed_keys)


def _ring() -> Iterator[Remark]:
    if vault.awaits_first_run():
        yield warning(
            "key ring", "There is no key yet.", "Start Forgekey, which makes one; then run this again."
        )
        return
    ids = vault.ring().ids
    yield ok("key ring", f"{_number(len(ids), 'key')} loaded; {ids[0]} encrypts.")


def _needed_keys() -> Iterator[Remark]:
    for key_id, kinds in sorted(sealed_rows.counts().items()):
        yield warning(
            "keys in use",
            f"Key {key_id} is needed by {_told(kinds)}.",
            "The key ring that you put in place must hold it. Until then these rows stay as they are.",
        )


def _keys_in_use() -> Iterator[Remark]:
    first, *others = vault.ring().ids
    for key_id, kinds in sorted(sealed_rows.counts().items()):
        if key_id == first:
            yield ok("keys in use", f"Key {key_id} wraps {_told(kinds)}.")
        elif key_id in others:
            yield warning(
                "keys in use",
                f"Key {key_id}, no longer the first, still wraps {_told(kinds)}.",
                "Restart every process, then run: python manage.py rotate_keys",
            )
        else:
            yield problem(
                "keys in use", f"The key ring lacks key {key_id}, which {_told(kinds)} need.", _RESTORE_KEY
            )


def _check_values() -> Iterator[Remark]:
    for row in RingKey.objects.filter(key_id__in=vault.ring().ids):
        if bytes(row.check_value) != vault.ring().get(row.key_id).kcv:
            yield problem(
                "key ring",
                f"The database remembers another key as {row.key_id}: its row was altered.",
                "Find out who wrote to the table of ring keys, and restore that row from a backup.",
            )


def _budget() -> Iterator[Remark]:
    wraps, first = vault.wraps_booked(), vault.primary_key_id()
    text = f"Key {first} has wrapped {wraps} of at most {vault.WRAP_LIMIT} secrets."
    remedy = "python manage.py generate_key --prepend --file PATH, restart every process, then rotate_keys."
    if wraps >= vault.WRAP_LIMIT:
        yield problem("nonce budget", text, remedy)
    elif wraps >= vault.WRAP_WARNING:
        yield warning("nonce budget", text, remedy)
    else:
        yield ok("nonce budget", text)


def _purpose_keys() -> Iterator[Remark]:
    rows = list(PurposeKey.objects.all())
    bad = []
    for row in rows:
        try:
            vault.unseal_after_audit(bytes(row.envelope), row.binding).wipe()
        except ForgekeyError as error:
            bad.append(
                problem("purpose keys", f"The key for {row.purpose} does not open: {error}", _RESTORE_KEY)
            )
    yield from bad
    if not bad:
        yield ok("purpose keys", f"{_number(len(rows), 'purpose key')} opened.")


def _canary() -> Iterator[Remark]:
    """A credential made, stored, read and opened as every other, and gone again."""
    planted = Secret(secrets.token_urlsafe(32))
    with _rolled_back():
        stored = Credential.objects.select_related("host").get(pk=_plant(planted).pk)
        found = vault.open_credential(stored, record=lambda: None)
        same = found.matches(planted)
    if same:
        yield ok("canary", "A canary credential was sealed, stored, read and opened; nothing of it is left.")
    else:
        yield problem(
            "canary", "A canary credential came back altered.", "Look for what changes stored bytes."
        )


def _plant(secret: Secret) -> Credential:
    name = f"doctor-{secrets.token_hex(8)}"
    host = Host(slug=name, provider="github", name=name, web_url="https://canary.invalid", is_enabled=False)
    host.api_url, host.web_origin = host.web_url, host.web_url
    host.save(force_insert=True)
    owner = get_user_model().objects.create(username=name, is_active=False)
    canary = Credential(owner=owner, host=host, kind=Kind.PERSONAL_TOKEN.value, status=Status.QUARANTINED)
    canary.key_id = vault.primary_key_id()
    canary.access_envelope = vault.seal_secret(secret, canary.binding("access"))
    canary.save(force_insert=True)
    return canary


def _trail() -> Iterator[Remark]:
    with _rolled_back():
        audit.record(
            "doctor.looked", actor=_ACTOR, subject=Subject(kind="installation", id="", name="doctor")
        )
    yield ok("audit trail", "An event can be written.")


_CHECKS_OF_KEYS: tuple[tuple[str, Check], ...] = (
    ("key ring", _check_values),
    ("keys in use", _keys_in_use),
    ("nonce budget", _budget),
    ("purpose keys", _purpose_keys),
    ("canary", _canary),
    ("audit trail", _trail),
)


@contextmanager
def _rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _told(kinds: dict[str, int]) -> str:
    return ", ".join(_number(count, kind.replace("_", " ")) for kind, count in sorted(kinds.items()))


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


# --- The worker ---------------------------------------------------------------------------------------


def _seals(now: datetime) -> Iterator[Remark]:
    """Whether somebody carries out the periodic duties: they seal what is not sealed."""
    last = AuditSeal.objects.order_by("-number").first()
    waiting = AuditEvent.objects.filter(seq__gt=last.seq if last else 0).order_by("seq").first()
    when = (
        f"the last seal is of {timezone.localtime(last.at):%Y-%m-%d %H:%M}"
        if last
        else "there is no seal yet"
    )
    if waiting is None or now - waiting.at <= 3 * conf.seal_interval + timedelta(minutes=1):
        yield ok("worker", f"No event waits for its seal longer than it should; {when}.")
    else:
        waited = timedelta(seconds=int((now - waiting.at).total_seconds()))
        yield problem(
            "worker",
            f"An event has waited {waited} for its seal; {when}. No worker runs.",
            "Start it: python manage.py worker (or run maintain every minute).",
        )

"""What the database itself enforces about the audit trail, for SQLite and PostgreSQL.

Used by the migration, by the tests (which must lift it to empty the tables), and at connection time.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

GUARDED = ("credentials_auditevent", "credentials_auditseal")

# The head may only move forward, one event at a time, and never disappear.
SQLITE_CREATE = (
    *(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        for table in GUARDED
        for verb in ("UPDATE", "DELETE")
    ),
    "CREATE TRIGGER credentials_audithead_no_delete BEFORE DELETE ON credentials_audithead "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER credentials_audithead_forward BEFORE UPDATE ON credentials_audithead "
    "WHEN NEW.seq <> OLD.seq + 1 BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER credentials_auditevent_moves_head AFTER INSERT ON credentials_auditevent "
    "BEGIN UPDATE credentials_audithead SET seq = NEW.seq, link = NEW.link; END",
)
SQLITE_DROP = (
    *(f"DROP TRIGGER {table}_no_{verb}" for table in GUARDED for verb in ("update", "delete")),
    "DROP TRIGGER credentials_audithead_no_delete",
    "DROP TRIGGER credentials_audithead_forward",
    "DROP TRIGGER credentials_auditevent_moves_head",
)

POSTGRESQL_CREATE = (
    """
    CREATE FUNCTION credentials_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
    """,
    """
    CREATE FUNCTION credentials_audit_head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.seq <> OLD.seq + 1 THEN RAISE EXCEPTION 'the audit trail is append-only'; END IF;
        RETURN NEW;
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION credentials_audit_is_append_only()"
        for table in GUARDED
    ),
    "CREATE TRIGGER credentials_audithead_kept BEFORE DELETE OR TRUNCATE ON credentials_audithead "
    "FOR EACH STATEMENT EXECUTE FUNCTION credentials_audit_is_append_only()",
    "CREATE TRIGGER credentials_audithead_forward BEFORE UPDATE ON credentials_audithead "
    "FOR EACH ROW EXECUTE FUNCTION credentials_audit_head_forward()",
)
POSTGRESQL_DROP = (
    *(f"DROP TRIGGER {table}_append_only ON {table}" for table in GUARDED),
    "DROP TRIGGER credentials_audithead_kept ON credentials_audithead",
    "DROP TRIGGER credentials_audithead_forward ON credentials_audithead",
    "DROP FUNCTION credentials_audit_is_append_only()",
    "DROP FUNCTION credentials_audit_head_forward()",
)

_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)")

FIRST_LINK = hashlib.sha256(b"forgekey/audit/v1").digest()


def create_guards(editor: BaseDatabaseSchemaEditor) -> None:
    """Put the triggers in place."""
    _run(editor, SQLITE_CREATE, POSTGRESQL_CREATE)


def drop_guards(editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away: for the reverse migration, and for tests that empty the tables."""
    _run(editor, SQLITE_DROP, POSTGRESQL_DROP)


def _run(editor: BaseDatabaseSchemaEditor, sqlite: tuple[str, ...], postgresql: tuple[str, ...]) -> None:
    for statement in sqlite if editor.connection.vendor == "sqlite" else postgresql:
        editor.execute(statement)


def missing_guards(database: BaseDatabaseWrapper) -> set[str]:
    """The names of the triggers that are gone or switched off."""
    on_sqlite = database.vendor == "sqlite"
    statements = SQLITE_CREATE if on_sqlite else POSTGRESQL_CREATE
    expected = {found[1] for statement in statements if (found := _TRIGGER.match(statement))}
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if on_sqlite
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
        )
        return expected - {name for (name,) in cursor.fetchall()}


def teach_sqlite(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give SQLite the link function that PostgreSQL has as ``sha256(link || mac)``."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("audit_link", 2, link_after, deterministic=True)


def link_after(link: bytes, mac: bytes) -> bytes:
    """The link of the event whose MAC is ``mac``, after the event whose link is ``link``."""
    return hashlib.sha256(link + mac).digest()

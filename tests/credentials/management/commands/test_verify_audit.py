"""``verify_audit``: what holds is counted, and the first thing that does not makes it fail."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential
from credentials.models.append_only import create_guards, drop_guards
from credentials.services import audit_proof, vault
from tests import builders

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(err: Any = None) -> str:
    out = io.StringIO()
    call_command("verify_audit", stdout=out, stderr=err or io.StringIO(), no_color=True)
    return out.getvalue()


@pytest.fixture
def sealed(alice: User) -> Credential:
    """A trail of two events, under a seal that is anchored outside of the database."""
    credential = builders.credential(alice, builders.host())
    audit_proof.seal(now=timezone.now(), anchor=conf.data_dir / "audit-anchor")
    return credential


def test_what_holds_is_counted(sealed: Credential) -> None:
    assert run() == "2 events and 1 seals hold.\n"


def test_an_empty_trail_holds(db: None) -> None:
    assert run() == "0 events and 0 seals hold.\n"


@pytest.mark.django_db(transaction=True)
def test_an_event_that_was_changed_is_named(sealed: Credential) -> None:
    with connection.schema_editor() as editor:
        drop_guards(editor)
    try:
        AuditEvent.objects.filter(seq=2).update(owner_name="somebody else")
    finally:
        with connection.schema_editor() as editor:
            create_guards(editor)
    with pytest.raises(CommandError, match="Event 2 "):
        run()


def test_a_row_that_nobody_recorded_is_named(sealed: Credential) -> None:
    Credential.objects.update(access_envelope=vault.seal_secret(Secret("x"), sealed.binding("access")))
    with pytest.raises(CommandError, match=str(sealed.pk)):
        run()


def test_a_missing_anchor_is_said(sealed: Credential) -> None:
    (conf.data_dir / "audit-anchor").unlink()
    with pytest.raises(CommandError, match="anchor"):
        run()


def test_without_the_key_it_says_what_is_missing(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host())
    builders.new_first_key(own_key_file)
    builders.lose_all_keys_but(own_key_file, vault.primary_key_id())
    with pytest.raises(CommandError, match="Add its entry to the key ring again"):
        run()


def test_progress_is_shown_to_a_person_and_to_nothing_else(sealed: Credential) -> None:
    person, machine = Terminal(), io.StringIO()
    run(person)
    run(machine)
    assert "\r[" in person.getvalue()
    assert machine.getvalue() == ""

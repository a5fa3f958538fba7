"""Proving the trail: every change, removal, forgery and cut tail is found, and the first bad one named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.models import AuditEvent, AuditHead, AuditSeal, Credential
from credentials.models.append_only import FIRST_LINK, create_guards, drop_guards, link_after
from credentials.services import audit, audit_proof
from credentials.services.audit import Subject
from tests import builders

pytestmark = pytest.mark.django_db


def write(number: int) -> None:
    for index in range(number):
        audit.record(
            "host.changed",
            actor=builders.SYSTEM,
            subject=Subject(kind="host", id=str(index), name=f"thing {index}"),
            data={"generation": index},
        )


@contextmanager
def an_intruder_with_the_tables() -> Iterator[None]:
    """Somebody who owns the tables takes the triggers away, and puts them back."""
    with connection.schema_editor(atomic=False) as editor:
        drop_guards(editor)
    yield
    with connection.schema_editor(atomic=False) as editor:
        create_guards(editor)


def relink(start: int) -> None:
    """What a careful intruder does: number and link the rest anew, head included."""
    link = bytes(AuditEvent.objects.get(seq=start - 1).link)
    seq = start - 1
    for event in AuditEvent.objects.filter(seq__gte=start).order_by("seq"):
        seq += 1
        link = link_after(link, bytes(event.mac))
        AuditEvent.objects.filter(id=event.id).update(seq=seq, link=link)
    AuditHead.objects.update(seq=seq, link=link)


def test_an_untouched_trail_holds() -> None:
    write(12)
    audit_proof.seal(now=timezone.now())
    write(3)

    proof = audit_proof.verify()

    assert proof.holds
    assert (proof.events, proof.seals) == (15, 1)


TEXT_FIELDS = [name for name in audit.MAC_FIELDS if name not in {"id", "at", "data"}]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_a_change_of_any_field_is_found(field: str) -> None:
    write(6)
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq=4).update(**{field: "x"})

    proof = audit_proof.verify()

    assert not proof.holds
    assert proof.first_bad == 4


@pytest.mark.django_db(transaction=True)
def test_a_change_of_time_identity_or_data_is_found() -> None:
    for change in ({"at": timezone.now()}, {"id": builders.uuid4()}, {"data": {"generation": 99}}):
        write(6)
        last = AuditEvent.objects.latest("seq").seq
        with an_intruder_with_the_tables():
            AuditEvent.objects.filter(seq=last - 1).update(**change)
        assert audit_proof.verify().first_bad is not None
        with an_intruder_with_the_tables():
            AuditEvent.objects.all().delete()
            AuditHead.objects.update(seq=0, link=FIRST_LINK)
        assert audit_proof.verify().holds


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("victim", [1, 4, 6])
def test_a_removed_event_is_found_wherever_it_was(victim: int) -> None:
    write(6)
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq=victim).delete()

    proof = audit_proof.verify()

    assert not proof.holds
    assert proof.first_bad == victim


@pytest.mark.django_db(transaction=True)
def test_a_cut_tail_is_found_by_the_head() -> None:
    write(9)
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq__gt=5).delete()

    assert audit_proof.verify().first_bad == 6


@pytest.mark.django_db(transaction=True)
def test_a_cut_tail_with_its_head_put_back_is_found_by_the_seal() -> None:
    write(9)
    audit_proof.seal(now=timezone.now())
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq__gt=5).delete()
        AuditHead.objects.update(seq=5, link=AuditEvent.objects.get(seq=5).link)

    assert not audit_proof.verify().holds


def test_a_missing_anchor_is_said_once_there_are_seals(tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    write(1)
    assert audit_proof.verify(anchor=anchor).holds
    audit_proof.seal(now=timezone.now(), anchor=anchor)
    anchor.unlink()

    assert "anchor" in audit_proof.verify(anchor=anchor).problem


@pytest.mark.django_db(transaction=True)
def test_a_cut_tail_with_head_and_seals_put_back_is_found_by_the_anchor_outside(tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    write(5)
    audit_proof.seal(now=timezone.now(), anchor=anchor)
    write(4)
    audit_proof.seal(now=timezone.now(), anchor=anchor)
    assert audit_proof.verify(anchor=anchor).holds
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq__gt=5).delete()
        AuditHead.objects.update(seq=5, link=AuditEvent.objects.get(seq=5).link)
        AuditSeal.objects.filter(number__gt=1).delete()

    assert audit_proof.verify().holds, "inside the database nothing is left to see it by"
    assert not audit_proof.verify(anchor=anchor).holds


@pytest.mark.django_db(transaction=True)
def test_an_event_removed_behind_a_seal_is_found_even_if_everything_is_linked_anew() -> None:
    write(9)
    audit_proof.seal(now=timezone.now())
    with an_intruder_with_the_tables():
        AuditEvent.objects.filter(seq=4).delete()
        AuditEvent.objects.filter(seq=3).update(link=AuditEvent.objects.get(seq=3).link)
        relink(4)

    assert not audit_proof.verify().holds


@pytest.mark.django_db(transaction=True)
def test_a_forged_seal_and_a_missing_seal_are_found() -> None:
    for damage in ("forge", "remove"):
        write(2)
        audit_proof.seal(now=timezone.now())
        write(2)
        audit_proof.seal(now=timezone.now())
        with an_intruder_with_the_tables():
            first = AuditSeal.objects.order_by("number")[0]
            if damage == "forge":
                AuditSeal.objects.filter(number=first.number).update(mac=bytes(32))
            else:
                first.delete()
        assert not audit_proof.verify().holds
        with an_intruder_with_the_tables():
            AuditSeal.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_random_tampering_is_always_found() -> None:
    write(40)
    audit_proof.seal(now=timezone.now())
    dice = random.Random(7)
    with an_intruder_with_the_tables():
        for _ in range(60):
            victim = AuditEvent.objects.get(seq=dice.randint(1, 40))
            name = dice.choice(TEXT_FIELDS)
            before = getattr(victim, name)
            after = before[::-1] + dice.choice("xyz")
            AuditEvent.objects.filter(pk=victim.pk).update(**{name: after})
            assert audit_proof.verify().first_bad == victim.seq
            AuditEvent.objects.filter(pk=victim.pk).update(**{name: before})
    assert audit_proof.verify().holds


def test_an_old_envelope_put_back_into_its_row_is_found(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    old = bytes(credential.access_envelope or b"")
    audit.record(
        "credential.rewrapped",
        actor=builders.SYSTEM,
        subject=Subject(kind="credential", id=str(credential.pk), name="c"),
        data={"envelope_mac": "another"},
    )
    Credential.objects.filter(pk=credential.pk).update(access_envelope=old)

    proof = audit_proof.verify()

    assert str(credential.pk) in proof.problem


def test_sealing_an_unchanged_trail_again_makes_no_second_seal() -> None:
    write(1)

    assert audit_proof.seal(now=timezone.now()) is not None
    assert audit_proof.seal(now=timezone.now()) is None

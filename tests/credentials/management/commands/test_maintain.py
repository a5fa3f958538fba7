"""``maintain``: every duty of the worker, once, each with what it did."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from credentials.models import AuditSeal, Credential, IdempotencyRecord, Status
from tests import builders

pytestmark = pytest.mark.django_db


def run() -> dict[str, int]:
    out = io.StringIO()
    call_command("maintain", stdout=out)
    lines = [line.partition(": ") for line in out.getvalue().splitlines()]
    return {duty: int(done) for duty, _, done in lines}


def test_every_duty_is_carried_out_and_counted(alice: User) -> None:
    now = timezone.now()
    builders.credential(alice, builders.host(), expires_at=now - timedelta(minutes=1))
    IdempotencyRecord.objects.create(
        caller="c", key="k", request_digest=b"", created_at=now - timedelta(days=2)
    )

    assert run() == {
        "pending connections dropped": 0,
        "idempotency records dropped": 1,
        "credentials that reached their end": 1,
        "memories dropped": 0,
        "seals made": 1,
        "credentials asked about their organizations": 0,
        "tokens asked to be revoked": 0,
        "notices mailed": 0,
    }
    assert Credential.objects.get().status == Status.EXPIRED
    assert AuditSeal.objects.count() == 1


def test_a_second_time_there_is_nothing_left_to_do(alice: User) -> None:
    builders.credential(alice, builders.host(), expires_at=timezone.now() - timedelta(minutes=1))
    run()
    assert set(run().values()) == {0}

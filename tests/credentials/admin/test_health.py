"""The health page: duties, processes, hosts and what waits, for those who may look; a secret on none of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import Duty, Host, HostHealth
from credentials.services import duties, processes
from credentials.services.processes import Kind
from tests import builders
from tests.credentials.admin.desk import browser, page, read, staff
from tests.credentials.services.test_health import renewable, revocation

pytestmark = pytest.mark.django_db
HEALTH = page(Duty, "changelist")


def test_every_duty_is_there_with_its_state_and_its_last_error(desk: Client) -> None:
    now = timezone.now()
    Duty.objects.create(name="mark-ends", started_at=now, finished_at=now, done=17)
    Duty.objects.create(name="seal-trail", started_at=now, last_error="FileNotFoundError")
    text = read(desk.get(HEALTH))
    for duty in duties.REGISTRY:
        assert str(duty.description) in text
    assert "Mark credentials whose end has come in time 1 minute" in text
    assert "Seal the audit trail failing 1 minute" in text
    assert "FileNotFoundError" in text
    assert "not yet" in text


def test_who_runs_and_who_is_gone_is_told(desk: Client) -> None:
    assert "Neither a worker nor a refresher has shown itself lately." in read(desk.get(HEALTH))
    processes.beat(Kind.REFRESHER, now=timezone.now())
    assert f"refresher running {processes.identity()}" in read(desk.get(HEALTH))


def test_hosts_in_trouble_are_named_with_what_they_said(desk: Client) -> None:
    assert "Every host answers, and accepts the OAuth client." in read(desk.get(HEALTH))
    now = timezone.now()
    one, other = builders.host(), builders.host("gitlab")
    Host.objects.filter(pk=one.pk).update(client_refused_since=now)
    HostHealth.objects.create(
        host=other,
        failures=5,
        failing_since=now,
        retry_at=now + timedelta(minutes=1),
        last_failure="GET /user 503",
    )
    text = read(desk.get(HEALTH))
    assert "Github refuses the OAuth client" in text
    assert "Gitlab not asked" in text
    assert "GET /user 503" in text


def test_what_waits_is_counted(desk: Client, alice: User) -> None:
    now = timezone.now()
    host = builders.host("gitlab")
    renewable(alice, host, refresh_due_at=now - timedelta(hours=1))
    revocation(host, age=timedelta(days=2))
    text = read(desk.get(HEALTH))
    assert "Credentials that are renewed by the refresher 1" in text
    assert "Renewals that wait longer than they should 1" in text
    assert "Revocations under way for more than a day 1" in text
    assert "Webhooks under way 0" in text


def test_the_index_leads_there_and_only_those_who_may_look() -> None:
    may, may_not = browser(staff("olivia", "view_duty")), browser(staff("audrey", "view_lease"))
    assert HEALTH in may.get("/admin/").content.decode()
    assert may.get(HEALTH).status_code == 200
    assert HEALTH not in may_not.get("/admin/").content.decode()
    assert may_not.get(HEALTH).status_code == 403
    assert Client().get(HEALTH).status_code == 302


def test_a_duty_is_looked_at_and_never_changed(desk: Client) -> None:
    Duty.objects.create(name="mark-ends", finished_at=timezone.now(), done=17)
    assert "17" in read(desk.get(page(Duty, "change", "mark-ends")))
    assert desk.post(page(Duty, "change", "mark-ends"), {"done": "1"}).status_code == 403

"""The health of hosts in the admin: who fails, since when, and when it is asked again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from credentials.models import Host, HostHealth
from credentials.services import circuit_breaker
from tests import builders
from tests.credentials.admin.desk import page, read

pytestmark = pytest.mark.django_db


def failing(host: Host, failures: int, *, closed_for: timedelta | None = None) -> HostHealth:
    now = timezone.now()
    return HostHealth.objects.create(
        host=host,
        failures=failures,
        failing_since=now - timedelta(minutes=9),
        retry_at=now + closed_for if closed_for else None,
        last_failure="GET /user 503",
    )


@pytest.mark.parametrize(
    ("failures", "closed_for", "word"),
    [
        (0, None, "answering"),
        (1, None, "failing"),
        (circuit_breaker.FAILURES, timedelta(minutes=1), "not asked"),
        (circuit_breaker.FAILURES, -timedelta(minutes=1), "tried again"),
    ],
)
def test_each_state_has_its_word(
    desk: Client, failures: int, closed_for: timedelta | None, word: str
) -> None:
    health = failing(builders.host(), failures, closed_for=closed_for)
    for address in (page(HostHealth, "changelist"), page(HostHealth, "change", health.pk)):
        text = read(desk.get(address))
        assert word in text
        assert "GET /user 503" in text


def test_nothing_can_be_changed(desk: Client) -> None:
    health = failing(builders.host(), 1)
    assert desk.post(page(HostHealth, "change", health.pk), {"failures": "0"}).status_code == 403
    assert desk.get(page(HostHealth, "add")).status_code == 403

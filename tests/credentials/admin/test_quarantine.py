"""Quarantine and release in the administration."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from credentials.models import AuditEvent, Credential, Notice, Status
from tests.credentials.admin.desk import Stock, act, browser, page, read, staff
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def test_it_asks_first(desk: Client, few: Stock) -> None:
    assert "Quarantine credentials?" in read(act(desk, Credential, "quarantine", *few.credentials))
    assert not Credential.objects.filter(status=Status.QUARANTINED).exists()


def test_there_and_back_with_the_owner_told_of_both(desk: Client, few: Stock) -> None:
    one, two = few.credentials

    said = read(act(desk, Credential, "quarantine", one, two, confirmed="yes"))
    assert "Quarantined: 2." in said
    assert {fresh(one).status, fresh(two).status} == {Status.QUARANTINED}
    offered = desk.get(page(Credential, "change", one.pk)).context["page_actions"]
    assert [name for name, _word in offered] == ["release", "disconnect"]

    answer = act(desk, Credential, "release", one, confirmed="yes", from_page="yes")
    assert "Released: 1." in read(answer)
    assert answer.redirect_chain[-1][0] == page(Credential, "change", one.pk)
    assert fresh(one).status == Status.UNVERIFIED
    codes = Notice.objects.filter(credential=one).order_by("created_at").values_list("code", flat=True)
    assert [*codes] == ["credential_quarantined", "credential_released"]
    assert {event.actor_name for event in AuditEvent.objects.filter(action__startswith="credential.q")} == {
        "admin"
    }


def test_the_owner_is_told_that_an_administrator_disconnected(desk: Client, few: Stock) -> None:
    act(desk, Credential, "disconnect", few.credentials[0], confirmed="yes")

    assert Notice.objects.filter(code="credential_closed", credential=few.credentials[0]).exists()


@pytest.mark.parametrize(("permission", "done"), [("view_credential", False), ("change_credential", True)])
def test_it_needs_the_permission_to_change(few: Stock, permission: str, done: bool) -> None:
    dora = browser(staff("dora", *{"view_credential", permission}))

    act(dora, Credential, "quarantine", few.credentials[0], confirmed="yes")

    assert (fresh(few.credentials[0]).status == Status.QUARANTINED) is done

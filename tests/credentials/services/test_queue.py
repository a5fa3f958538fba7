"""Background work: ids only, together with the change that asked for it, and harmless when it comes late."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django_tasks_db.models import DBTaskResult

from credentials.models import AuditEvent
from credentials.services import disconnect, hosts, queue
from tests import builders

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def database_queue(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}


def test_the_entry_holds_the_id_and_nothing_else(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), label="secret project")

    queue.verify_later(credential.pk)

    entry = DBTaskResult.objects.get()
    assert entry.task_path == "credentials.services.queue.verify_credential"
    assert entry.args_kwargs == {"args": [str(credential.pk)], "kwargs": {}}


def test_work_for_a_change_that_was_rolled_back_is_not_queued() -> None:
    def change() -> None:
        with transaction.atomic():
            queue.verify_later(uuid4())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()

    assert not DBTaskResult.objects.exists()


def test_a_verification_is_the_workers_and_is_recorded(alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    queue.verify_credential.call(str(credential.pk))

    event = AuditEvent.objects.get(action="credential.opened")
    assert (event.actor_kind, event.actor_name, event.purpose) == ("system", "worker", "reported as rejected")


def test_what_is_gone_by_then_is_left_alone(alice: User) -> None:
    host = builders.host()
    disconnected = builders.credential(alice, host)
    disconnect.disconnect(actor=builders.SYSTEM, credential=disconnected)
    closed = builders.credential(alice, builders.host("gitlab"), token="glpat-x")
    hosts.set_enabled(actor=builders.SYSTEM, host=closed.host, enabled=False)

    for gone in (disconnected.pk, closed.pk, uuid4()):
        queue.verify_credential.call(str(gone))

    assert not AuditEvent.objects.filter(action="credential.opened").exists()

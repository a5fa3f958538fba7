"""The way to Celery, before anything is sent: what is missing is said by a check. The rest: test_celery.py."""

from __future__ import annotations

from importlib import util
from typing import Any

import pytest
from django.core.checks import run_checks

from project import task_backends


def configured(settings: Any, address: str) -> None:
    settings.TASKS = {
        "default": {
            "BACKEND": "project.task_backends.CeleryBackend",
            "QUEUES": ["default", "imports"],
            "OPTIONS": {"secret_url": address, "prefix": "forgekey"},
        },
        "database": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]},
    }


@pytest.mark.parametrize(
    ("address", "needed"), [("redis://broker/2", ["celery", "redis"]), ("amqp://broker", ["celery"])]
)
def test_a_package_that_is_not_installed_is_named(
    address: str, needed: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(settings, address)
    assert [message for message in run_checks() if message.id == "project.E001"] == []
    absent = {"celery", "redis"}
    monkeypatch.setattr(
        task_backends, "find_spec", lambda name: None if name in absent else util.find_spec(name)
    )
    found = [message for message in run_checks() if message.id == "project.E001"]
    assert [message.msg for message in found] == [
        f"TASK_QUEUE_URL needs the package {name}." for name in needed
    ]
    assert "broker" not in str(found)

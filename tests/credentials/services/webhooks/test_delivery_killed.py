"""A real worker is killed while it sends: the message comes again, under the same id, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from credentials.models import DeliveryState
from credentials.services.webhooks import outbox
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Seen
from tests.credentials.services.webhooks.receiver import Receiver, deliver, endpoint, only, tell
from tests.processes import ROOT, database_url, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

WORKER = (
    "import django; django.setup(); "
    "from credentials.services.webhooks.delivery import deliver_due; print(deliver_due())"
)


def start(tmp_path: Path, settings: Any) -> subprocess.Popen[bytes]:
    words = environment(
        tmp_path,
        DATABASE_URL=database_url(),
        DJANGO_SETTINGS_MODULE="project.settings",
        CREDENTIALS_KEY_SOURCE=settings.CREDENTIALS_KEY_SOURCE,
    )
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=words, stdout=subprocess.PIPE)


def test_one_that_is_killed_between_claim_and_answer_loses_nothing(
    receiver: Receiver, tmp_path: Path, settings: Any
) -> None:
    endpoint(receiver.hook)
    clock = Clock()
    message = tell(clock)
    arrived, over = threading.Event(), threading.Event()

    def stuck(seen: Seen) -> Reply:
        arrived.set()
        over.wait(60)
        return Reply(status=204)

    receiver.reply = stuck
    worker = start(tmp_path, settings)
    try:
        assert arrived.wait(60), "the worker sent nothing"
        row = only()
        assert (row.state, row.attempts) == (DeliveryState.PENDING, 1)
        assert row.next_attempt_at is not None
        assert row.next_attempt_at > clock(), "claimed before it was sent"
        assert row.next_attempt_at < clock() + timedelta(minutes=5), "and not for long"
        os.kill(worker.pid, signal.SIGKILL)
    finally:
        worker.kill()
        worker.communicate()
        over.set()
    receiver.reply = Reply(status=204)

    assert deliver(Clock(clock())) == 0, "its claim still holds"
    clock.at = row.next_attempt_at + outbox.CLAIMED
    assert deliver(clock) == 1

    assert receiver.ids() == [str(message.pk)] * 2
    assert only().state == DeliveryState.DELIVERED


def test_one_that_is_left_alone_delivers(receiver: Receiver, tmp_path: Path, settings: Any) -> None:
    endpoint(receiver.hook)
    tell(Clock())
    worker = start(tmp_path, settings)
    said, _nothing = worker.communicate(timeout=60)
    assert (worker.returncode, said.strip()) == (0, b"1")
    assert len(receiver.seen) == 1

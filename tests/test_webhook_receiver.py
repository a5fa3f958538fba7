"""The receiver of docs/, started as people start it: it takes what is genuine, once, and nothing else."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from credentials.crypto.secret import Secret
from credentials.crypto.webhook_signature import sign
from credentials.models import DeliveryState, WebhookDelivery
from credentials.services.webhooks import outbox
from tests import builders
from tests.clock import Clock
from tests.credentials.services.webhooks.receiver import deliver, endpoint, only, tell
from tests.processes import ROOT, free_ports

pytestmark = pytest.mark.django_db

START_SECONDS = 20


class Example:
    """A running example, and what it has printed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/hooks/forgekey"
        _made, self.secret = endpoint(self.url)
        secret_file = folder / "webhook-secret"
        secret_file.write_text(self.secret + "\n")
        self.printed = folder / "printed"
        self.log = folder / "log"
        example = ROOT / "docs" / "examples" / "webhook_receiver.py"
        words = [sys.executable, "-I", "-S", str(example)]
        words += ["--port", str(self.port), "--secret-file", str(secret_file)]
        with self.printed.open("wb") as out, self.log.open("wb") as err:
            self.process = subprocess.Popen(words, stdout=out, stderr=err)

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/hooks/forgekey", body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                self.post(b"", {})
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the example did not start")

    def told(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.printed.read_text().splitlines()]


@pytest.fixture
def example(tmp_path: Path, db: None) -> Iterator[Example]:
    running = Example(tmp_path)
    try:
        running.wait_until_up()
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def signed(example: Example, body: bytes, *, age: int = 0, message_id: str = "m1") -> dict[str, str]:
    sent = int(time.time()) - age
    signature = sign(Secret(example.secret), message_id=message_id, timestamp=sent, body=body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent),
        "webhook-signature": signature,
        "Content-Type": "application/json",
    }


def wait_for(example: Example, count: int) -> list[dict[str, object]]:
    end = time.monotonic() + 10
    while len(example.told()) < count and time.monotonic() < end:
        time.sleep(0.05)
    return example.told()


def test_what_forgekey_delivers_is_taken_once_and_its_repeat_is_not(example: Example) -> None:
    clock = Clock()
    message = tell(clock)
    assert deliver(clock) == 1
    assert only().last_status == 204
    assert outbox.send_again(actor=builders.SYSTEM, delivery=only(), now=clock())
    assert deliver(clock) == 1
    told = wait_for(example, 1)
    assert told == [json.loads(outbox.body_of(message))]
    assert example.log.read_text().count('" 204 -') == 2, "both were answered, one was dealt with"


def test_a_message_of_another_clock_is_refused_and_tried_again_later(example: Example) -> None:
    clock = Clock()
    clock.step(hours=-1)
    tell(clock)
    assert deliver(clock) == 0
    assert (only().state, only().last_status) == (DeliveryState.PENDING, 401)
    clock.step(hours=1)
    WebhookDelivery.objects.update(next_attempt_at=clock())
    assert deliver(clock) == 1
    assert len(wait_for(example, 1)) == 1


def test_nothing_altered_old_or_unsigned_is_taken(example: Example) -> None:
    body = b'{"type":"user.offboarded","data":{"user":"alice"}}'
    good = signed(example, body)
    spoiled = {
        "an altered body": (body.replace(b"alice", b"bobby"), good),
        "another id": (body, {**good, "webhook-id": "m2"}),
        "another time": (body, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) - 1)}),
        "an old time": (body, signed(example, body, age=6 * 60)),
        "a time to come": (body, signed(example, body, age=-6 * 60)),
        "no time": (body, {**good, "webhook-timestamp": "soon"}),
        "no signature": (body, {**good, "webhook-signature": ""}),
        "another version": (
            body,
            {**good, "webhook-signature": good["webhook-signature"].replace("v1", "v2")},
        ),
        "no base64": (body, {**good, "webhook-signature": "v1,%%%"}),
        "nothing at all": (body, {}),
    }
    assert {name: example.post(*sent) for name, sent in spoiled.items()} == dict.fromkeys(spoiled, 401)
    assert example.told() == []
    two = {**good, "webhook-signature": f"v1,{'A' * 43}= {good['webhook-signature']}"}
    assert example.post(body, two) == 204
    assert wait_for(example, 1) == [json.loads(body)]

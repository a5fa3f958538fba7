"""The web process is killed in the middle of lending, again and again: no secret is out without its event."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Lease
from credentials.services import audit_proof
from tests import builders
from tests.processes import free_ports
from tests.web_process import Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

KILLS = 20
CLIENTS = 6
START_SECONDS = 30
TOKEN = "ghp_" + "k1ll3d" * 6
PASSWORD = re.compile(rb'"password":\s*"[^"]')


@dataclass(frozen=True, kw_only=True)
class Borrower:
    """Clients that ask for a lease, and at once for the next, whatever becomes of the web process.

    ``received`` has every byte that came back, by the reference that was sent along.
    """

    port: int
    key: Secret
    received: dict[str, bytes] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def request(self, reference: str) -> bytes:
        body = {"user": "alice", "host": "github", "purpose": "import 42", "reference": reference}
        raw = json.dumps(body).encode()
        return (
            "POST /api/v1/leases/ HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.key.reveal()}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(raw)}\r\n"
            f"Idempotency-Key: {reference}\r\n"
            "Connection: close\r\n\r\n"
        ).encode() + raw

    def ask(self, reference: str) -> None:
        """One request on a bare socket: a library would throw half an answer away."""
        got = bytearray()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            self.received[reference] = b""
            connection.sendall(self.request(reference))
            while chunk := connection.recv(65_536):
                got += chunk
        if reference in self.received:
            self.received[reference] = bytes(got)
        else:
            time.sleep(0.02)  # nobody listens: it was just killed

    def run(self, name: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            self.ask(f"{name}-{number}")

    def answered(self) -> int:
        return sum(map(is_whole, list(self.received.values())))


def is_whole(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 201") and answer.rstrip().endswith(b"}")


@contextmanager
def asking(borrower: Borrower) -> Iterator[None]:
    """Every client asks for as long as the block lasts."""
    clients = [threading.Thread(target=borrower.run, args=(name,)) for name in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        borrower.over.set()
        for client in clients:
            client.join()


@pytest.fixture
def web(tmp_path: Path, key_file: Path, db: None) -> Iterator[Web]:
    running = Web(port=free_ports(1), data_dir=tmp_path, key_file=key_file)
    yield running
    with suppress(ProcessLookupError):
        running.kill()


def wait_for_an_answer(borrower: Borrower, web: Web) -> None:
    deadline, before = time.monotonic() + START_SECONDS, borrower.answered()
    while borrower.answered() == before:
        assert web.process.poll() is None, web.log.read_text("utf-8")
        assert time.monotonic() < deadline, "no lease was answered in time"
        time.sleep(0.01)


def test_no_secret_is_out_without_its_event_however_often_the_web_process_is_killed(
    alice: User, web: Web, tmp_path: Path
) -> None:
    builders.credential(alice, builders.host(), token=TOKEN)
    _, key = builders.client()
    borrower, moment = Borrower(port=web.port, key=key), random.Random(20)
    anchor = tmp_path / "audit-anchor"

    with asking(borrower):
        for _ in range(KILLS):
            wait_for_an_answer(borrower, web)
            time.sleep(moment.uniform(0, 0.4))
            web.kill()
            # What the trail holds now must still be there at the end.
            audit_proof.seal(now=timezone.now(), anchor=anchor)
            web.restart()
        wait_for_an_answer(borrower, web)

    answers = borrower.received
    # The first byte of a 201 counts as a secret that is out, though the password comes late in its body.
    out = {reference for reference, answer in answers.items() if answer.startswith(b"HTTP/1.1 201")}
    assert out >= {name for name, got in answers.items() if PASSWORD.search(got) or TOKEN.encode() in got}
    events = {
        event.reference: event.data["lease"] for event in AuditEvent.objects.filter(action="lease.created")
    }
    assert out - events.keys() == set()
    for reference in out:
        if is_whole(answers[reference]):
            lent = json.loads(answers[reference].partition(b"\r\n\r\n")[2])
            assert (lent["password"], lent["id"]) == (TOKEN, events[reference])
    assert {str(lease) for lease in Lease.objects.values_list("pk", flat=True)} == set(events.values())
    assert (proof := audit_proof.verify(anchor=anchor)).holds, proof.problem
    # Otherwise nothing was in the middle of a lease when the process was killed.
    assert sum(not answer for answer in answers.values()) >= KILLS
    assert TOKEN not in web.log.read_text("utf-8")

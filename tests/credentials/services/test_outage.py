"""An hour without an answer: nothing is marked, one question a minute, and one answer opens the way for all."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import (
    AccessState,
    AuditEvent,
    Credential,
    Host,
    HostHealth,
    Notice,
    Organization,
    OrganizationAccess,
    RepositoryAccess,
    Status,
)
from credentials.services import circuit_breaker, diagnose, organizations, vault, verify
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.services.stored import host_at

pytestmark = pytest.mark.django_db

MANY = 10_000
ON_THE_BOARD = 1_000
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-OAuth-Scopes: repo\r\n"
    b'Content-Length: 32\r\nConnection: close\r\n\r\n{"id": 1, "login": "octo-alice"}'
)


class Moody:
    """A host that resets every connection while it is down, and notes when each came."""

    def __init__(self, clock: Clock) -> None:
        self.down = True
        self.came: list[datetime] = []
        self._clock = clock
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                sock, _address = self._listening.accept()
            except OSError:
                return
            self.came.append(self._clock())
            with sock:
                if self.down:
                    # No linger: closing sends a reset.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    self._answer(sock)

    @staticmethod
    def _answer(sock: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received and (piece := sock.recv(4096)):
            received += piece
        sock.sendall(ANSWER)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=10)


def crowd(owner: User, host: Host, clock: Clock) -> list[Credential]:
    """Ten thousand credentials of one host; a tenth of them with an organization that is due."""
    made = []
    for number in range(MANY):
        one = Credential(
            owner=owner, host=host, kind="personal_token", status=Status.VALID, account_name="octo-alice"
        )
        one.key_id = vault.primary_key_id()
        one.access_envelope = vault.seal_secret(Secret(f"ghp_{number:036}"), one.binding("access"))
        made.append(one)
    Credential.objects.bulk_create(made, batch_size=1000)
    acme = Organization.objects.create(host=host, key="acme", name="acme", first_seen_at=clock())
    OrganizationAccess.objects.bulk_create(
        OrganizationAccess(
            credential=one,
            organization=acme,
            state=AccessState.REQUESTED,
            since=clock(),
            checked_at=clock(),
            next_check_at=clock(),
        )
        for one in made[:ON_THE_BOARD]
    )
    return made


@pytest.fixture
def many_diagnoses(settings: Any) -> None:
    """The breaker alone is to protect the host here."""
    settings.CREDENTIALS_DIAGNOSES_PER_MINUTE = 10_000


def the_hour(
    host: Host, clock: Clock, credentials: list[Credential]
) -> Iterator[tuple[str, VerdictCode | None]]:
    """What everybody asks within an hour of simulated time: 170 verifications a minute, and the rest."""
    sample = iter(credentials)
    address = f"{host.web_url}/acme/cases"
    for _minute in range(60):
        for number in range(170):
            if number % 17 == 0:
                clock.step(seconds=6)
            credential = next(sample, credentials[number])
            found = verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", now=clock)
            yield "verify", found.code
        for credential in credentials[:3]:
            walked = diagnose.diagnose(
                actor=builders.SYSTEM,
                user=credential.owner,
                repository_url=address,
                among=[credential.pk],
                now=clock,
            )
            yield "diagnose", walked.verdict.code
        organizations.check_due(actor=builders.SYSTEM, now=clock)
        yield "check_due", None


@pytest.mark.usefixtures("many_diagnoses")
def test_an_hours_outage_marks_nothing_costs_a_question_a_minute_and_ends_with_one_answer(
    alice: User,
) -> None:
    clock = Clock()
    with Moody(clock) as moody:
        host = host_at(moody.url)
        credentials = crowd(alice, host, clock)
        for one in credentials:
            one.owner, one.host = alice, host

        said = list(the_hour(host, clock, credentials))

        assert len([what for what, _code in said if what == "verify"]) >= 10_000
        assert {code for _what, code in said if code is not None} == {VerdictCode.HOST_UNREACHABLE}
        untouched = Credential.objects.filter(
            status=Status.VALID, status_detail="", refusals=0, hold_until=None, last_verified_at=None
        )
        assert untouched.count() == MANY
        requested = OrganizationAccess.objects.filter(state=AccessState.REQUESTED)
        assert requested.count() == ON_THE_BOARD == OrganizationAccess.objects.count()
        assert not RepositoryAccess.objects.exists()
        assert not Notice.objects.exists()

        came = moody.came
        assert len(came) <= circuit_breaker.FAILURES + 60
        assert len(came) >= 40, "it is asked again and again, or nobody would see it come back"
        afterwards = came[circuit_breaker.FAILURES - 1 :]
        assert all(later - earlier >= timedelta(minutes=1) for earlier, later in pairwise(afterwards))
        opened = AuditEvent.objects.filter(action="credential.opened").count()
        assert opened <= len(came) + 60, "no secret is opened to be shown to nobody"

        moody.down = False
        clock.step(minutes=1)
        for number, credential in enumerate(credentials[:20]):
            found = verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", now=clock)
            assert found.ok, number
        assert HostHealth.objects.get().failures == 0

"""The refresher: ahead of time, at once for whoever waits, one host's hanging is not another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Host, Status
from credentials.services import processes
from credentials.services.processes import Kind
from credentials.services.refresh import journal, loop
from tests import builders
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.refresh.grants import (
    Rotating,
    claimed_by,
    gitlab_at,
    lease_of,
    of_a_dead_process,
    pair,
    refresher,
)
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credential(alice: User, provider: Rotating, server: Server) -> Credential:
    access, refresh = provider.first()
    return pair(alice, gitlab_at(server.url), token=access, refresh=refresh, ends=timedelta(minutes=20))


def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_what_is_near_its_end_is_renewed_without_anybody_asking(
    credential: Credential, provider: Rotating
) -> None:
    with refresher():
        until(lambda: fresh(credential).generation == 2)
        time.sleep(0.5)
    assert provider.calls == 1


def test_what_is_not_due_is_left_alone(credential: Credential, provider: Rotating) -> None:
    later = timezone.now() + timedelta(hours=1)
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=later)
    assert loop.once() == 0
    assert provider.calls == 0


def test_one_round_does_everything_that_is_due_where_no_refresher_runs(
    credential: Credential, provider: Rotating
) -> None:
    assert loop.once() == 1
    assert loop.once() == 0
    assert provider.calls == 1


def test_one_round_does_everything_however_much_of_one_host_is_due(
    alice: User, server: Server, provider: Rotating
) -> None:
    provider.before = lambda number: json_reply({"access_token": f"at-new-{number}", "expires_in": 7200})
    host = gitlab_at(server.url)
    for number in range(20):
        pair(alice, host, token=f"at-{number}", refresh=f"rt-{number}", ends=timedelta(0))
    assert loop.once() == 20


def test_what_cannot_be_refreshed_is_not_looked_at_again_and_again(
    credential: Credential, server: Server
) -> None:
    Host.objects.update(client_secret_envelope=None)
    before = AuditEvent.objects.count()
    with refresher():
        time.sleep(1.0)
    assert server.seen == []
    assert AuditEvent.objects.count() == before
    assert not journal.folder().exists()


def test_where_a_refresher_runs_others_leave_it_to_it(credential: Credential, provider: Rotating) -> None:
    processes.beat(Kind.REFRESHER, now=timezone.now())
    assert loop.once() == 0
    assert provider.calls == 0
    processes.end()


def test_it_begins_with_what_a_dead_one_left_behind(credential: Credential, provider: Rotating) -> None:
    claimed_by(credential, of_a_dead_process())
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=None)
    with refresher():
        until(lambda: fresh(credential).refreshing_since is None)
    assert (fresh(credential).generation, provider.calls) == (2, 1)


def test_a_reserved_token_is_renewed_as_soon_as_its_job_is_done(
    credential: Credential, provider: Rotating
) -> None:
    lease = lease_of(credential, builders.client()[0], minutes=10)
    with refresher():
        time.sleep(1.0)
        assert provider.calls == 0
        type(lease).objects.filter(pk=lease.pk).update(ended_at=timezone.now())
        until(lambda: fresh(credential).generation == 2)


def test_a_host_that_hangs_does_not_keep_another_ones_tokens_from_being_renewed(
    alice: User, credential: Credential, provider: Rotating
) -> None:
    release = threading.Event()

    def hang(seen: object) -> Reply:
        release.wait(20)
        return Reply(status=503)

    with Server(hang) as black_hole:
        host = builders.host(
            "bitbucket",
            web_url=black_hole.url,
            api_url=f"{black_hole.url}/2.0",
            client_id="c",
            client_secret=Secret("s"),
        )
        for number in range(loop.AT_ONCE * 4 + 6):
            pair(alice, host, token=f"at-{number}", refresh=f"rt-{number}", ends=timedelta(0))
        with refresher():
            until(lambda: fresh(credential).generation == 2, seconds=8)
            release.set()
    assert Credential.objects.filter(host=host).exclude(status=Status.VALID).count() == 0


def test_being_told_to_stop_finishes_what_is_under_way(credential: Credential, provider: Rotating) -> None:
    asked = threading.Event()

    def slow(number: int) -> None:
        asked.set()
        time.sleep(1.0)

    provider.after = slow
    with refresher():
        asked.wait(20)
    assert fresh(credential).generation == 2
    assert fresh(credential).refreshing_since is None

"""A token that its host calls dead: what becomes of the credential, and when it is not believed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Status
from credentials.models.credential import LENDABLE
from credentials.providers.tokens import Kind
from credentials.services import diagnose, hosts, rejection
from credentials.services.logins import login_of
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply
from tests.credentials.services.stored import fresh, host_at, meanwhile

pytestmark = pytest.mark.django_db

REFUSED = json_reply({"message": "Bad credentials"}, 401)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (Kind.PERSONAL_TOKEN, VerdictCode.TOKEN_REJECTED, Status.REJECTED),
        (Kind.PERSONAL_TOKEN, VerdictCode.TOKEN_REVOKED, Status.REJECTED),
        (Kind.PERSONAL_TOKEN, VerdictCode.TOKEN_EXPIRED, Status.EXPIRED),
        (Kind.OAUTH, VerdictCode.TOKEN_REJECTED, Status.RECONNECT_REQUIRED),
        (Kind.APP_TOKEN, VerdictCode.TOKEN_REVOKED, Status.RECONNECT_REQUIRED),
    ],
)
def test_it_is_marked_with_its_cause_rests_and_is_in_the_trail(
    alice: User, clock: Clock, kind: Kind, code: VerdictCode, status: Status
) -> None:
    credential = builders.credential(alice, builders.host(), kind=kind)
    assert rejection.note(fresh(credential), code, actor=builders.SYSTEM, now=clock())
    row = fresh(credential)
    assert (row.status, row.status_detail, row.refusals) == (status, code, 1)
    event = AuditEvent.objects.get(action="credential.verified")
    assert event.data == {"verdict": code, "status_before": "valid", "status": status}


@pytest.mark.parametrize("status", [status for status in Status if status not in LENDABLE])
def test_what_could_not_be_lent_anyway_stays_what_it_was(alice: User, clock: Clock, status: Status) -> None:
    credential = builders.credential(alice, builders.host())
    change = {"access_envelope": None, "fingerprint": None} if status is Status.DISCONNECTED else {}
    Credential.objects.filter(pk=credential.pk).update(status=status, **change)
    rejection.note(fresh(credential), VerdictCode.TOKEN_REJECTED, actor=builders.SYSTEM, now=clock())
    assert fresh(credential).status == status
    assert not AuditEvent.objects.filter(action="credential.verified").exists()


@pytest.mark.parametrize(
    ("kind", "age", "believed"),
    [
        (Kind.OAUTH, timedelta(seconds=119), False),
        (Kind.OAUTH, timedelta(seconds=120), True),
        (Kind.PERSONAL_TOKEN, timedelta(seconds=1), True),
    ],
)
def test_a_grant_of_a_moment_ago_is_not_believed_dead_yet_but_rests(
    alice: User, clock: Clock, kind: Kind, age: timedelta, believed: bool
) -> None:
    credential = builders.credential(alice, builders.host(), kind=kind, sealed_at=clock() - age)
    found = rejection.note(fresh(credential), VerdictCode.TOKEN_REJECTED, actor=builders.SYSTEM, now=clock())
    row = fresh(credential)
    assert found is believed
    assert (row.status != Status.VALID) is believed
    assert row.refusals == 1


@pytest.mark.parametrize(
    ("reply", "is_dead"),
    [
        (REFUSED, True),
        (json_reply({"id": 1, "login": "octo-alice"}), False),
        (json_reply({"message": "Not Found"}, 404), False),
        (json_reply({"message": "Bad credentials"}, 429), False),
        (json_reply({"message": "Bad credentials"}, 503), False),
        (html_reply(401), False),
    ],
)
def test_only_the_hosts_own_word_confirms_a_death(
    alice: User, clock: Clock, reply: Reply, is_dead: bool
) -> None:
    with Server(lambda seen: reply) as server:
        host = host_at(server.url)
        credential = builders.credential(alice, host)
        token = Secret("ghp_" + "a" * 36)
        found = rejection.confirm(hosts.provider_of(host, now=clock), login_of(credential, token))
    assert (found is not None) is is_dead


@pytest.mark.django_db(transaction=True)
def test_a_quarantine_that_came_while_a_diagnosis_asked_stays(alice: User, clock: Clock) -> None:
    with Server(meanwhile(lambda: Credential.objects.update(status="quarantined"), REFUSED)) as server:
        credential = builders.credential(alice, host_at(server.url))
        diagnose.diagnose(
            actor=builders.SYSTEM, user=alice, repository_url=f"{server.url}/acme/cases", now=clock
        )
    assert fresh(credential).status == Status.QUARANTINED

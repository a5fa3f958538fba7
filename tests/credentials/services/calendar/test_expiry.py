"""An end date put right by hand: where no host tells it, and only there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.errors import Conflict, InputInvalid
from credentials.models import AuditEvent, Credential, Status
from credentials.providers.tokens import Kind
from credentials.services import audit_proof, calendar, disconnect, notices
from credentials.services.audit import Actor
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(alice: User) -> Credential:
    return builders.credential(alice, builders.host("bitbucket"), kind=Kind.API_TOKEN)


def set_to(held: Credential, when: Any, clock: Clock) -> Credential:
    return calendar.set_expiry(actor=Actor.user(held.owner), credential=held, expires_at=when, now=clock())


def test_a_date_is_stored_and_recorded_with_who_typed_it(held: Credential, clock: Clock) -> None:
    set_to(held, clock() + 90 * DAY, clock)
    held.refresh_from_db()
    assert held.expires_at == clock() + 90 * DAY
    assert held.status == Status.VALID
    event = AuditEvent.objects.get(action="credential.expiry_set")
    assert event.actor_name == "alice"
    assert event.data["expires_at"] == (clock() + 90 * DAY).isoformat()
    assert audit_proof.verify().holds


def test_a_date_that_is_there_already_changes_and_records_nothing(held: Credential, clock: Clock) -> None:
    for _ in range(2):
        set_to(held, clock() + 90 * DAY, clock)
    assert AuditEvent.objects.filter(action="credential.expiry_set").count() == 1


def test_a_later_date_takes_the_warning_back_and_warns_anew(held: Credential, clock: Clock) -> None:
    set_to(held, clock() + 5 * DAY, clock)
    held.refresh_from_db()
    assert held.status == Status.EXPIRING, "it is near from the start"
    assert calendar.warn_due(now=clock()) == 1

    set_to(held, clock() + 90 * DAY, clock)
    held.refresh_from_db()
    assert held.status == Status.VALID
    assert not notices.unread(held.owner).exists()
    set_to(held, clock() + 5 * DAY, clock)
    assert calendar.warn_due(now=clock()) == 1


def test_no_date_at_all_leaves_what_the_host_documents(held: Credential, clock: Clock) -> None:
    set_to(held, clock() + 5 * DAY, clock)
    set_to(held, None, clock)
    [(_row, [end])] = calendar.read(Credential.objects.all(), now=clock())
    assert end.kind == calendar.EndKind.LONGEST


@pytest.mark.parametrize(
    ("before", "detail", "after"),
    [
        (Status.EXPIRED, "", Status.UNVERIFIED),
        (Status.EXPIRED, "token_expired", Status.EXPIRED),
        (Status.REJECTED, "token_rejected", Status.REJECTED),
        (Status.QUARANTINED, "", Status.QUARANTINED),
        (Status.LIMITED, "scope_missing", Status.LIMITED),
    ],
)
def test_only_what_a_date_had_ended_comes_back(
    held: Credential, clock: Clock, before: Status, detail: str, after: Status
) -> None:
    Credential.objects.filter(pk=held.pk).update(
        status=before, status_detail=detail, expires_at=clock() - DAY
    )
    set_to(held, clock() + 90 * DAY, clock)
    held.refresh_from_db()
    assert held.status == after


@pytest.mark.parametrize("when", [timedelta(0), -DAY])
def test_a_date_that_is_over_is_refused(held: Credential, clock: Clock, when: timedelta) -> None:
    with pytest.raises(InputInvalid):
        set_to(held, clock() + when, clock)
    held.refresh_from_db()
    assert held.expires_at is None


@pytest.mark.parametrize(
    ("slug", "kind"),
    [("github", Kind.PERSONAL_TOKEN), ("gitlab", Kind.PERSONAL_TOKEN), ("gitea", Kind.OAUTH)],
)
def test_what_the_host_or_a_consent_has_dated_is_not_typed_over(
    alice: User, clock: Clock, slug: str, kind: Kind
) -> None:
    told = builders.credential(alice, builders.host(slug), kind=kind)
    assert not calendar.can_set_expiry(told)
    with pytest.raises(InputInvalid):
        set_to(told, clock() + DAY, clock)


def test_a_disconnected_one_has_no_date_any_more(held: Credential, clock: Clock) -> None:
    disconnect.disconnect(actor=builders.SYSTEM, credential=held)
    with pytest.raises(Conflict):
        set_to(held, clock() + DAY, clock)

"""Opening a credential for one question: renewed where its token is at its end, the event first."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from credentials.errors import Conflict, EnvelopeInvalid
from credentials.models import AuditEvent, Credential
from credentials.services import opening
from credentials.services.audit import Actor
from tests import builders
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "k" * 36


@pytest.fixture
def credential(alice: User) -> Credential:
    return builders.credential(
        alice, builders.host(), token=TOKEN, email="alice@example.org", username="typed"
    )


def test_the_event_names_who_why_whose_and_what_for(credential: Credential, bob: User) -> None:
    login = opening.open_login(credential, actor=Actor.user(bob), purpose="look", repository="acme/cases")

    assert login.token.reveal() == TOKEN
    event = AuditEvent.objects.get(action="credential.opened")
    assert (event.actor_name, event.purpose, event.repository) == ("bob", "look", "acme/cases")
    assert (event.subject_id, event.owner_name, event.host) == (str(credential.pk), "alice", "github")


def test_nothing_of_somebody_inactive_is_opened_and_no_event_claims_it(
    credential: Credential, alice: User
) -> None:
    alice.is_active = False
    alice.save()

    with pytest.raises(Conflict, match="not active"):
        opening.open_login(fresh(credential), actor=builders.SYSTEM, purpose="look")

    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_another_rows_envelope_is_no_login_though_the_attempt_is_recorded(
    credential: Credential, alice: User
) -> None:
    other = builders.credential(alice, credential.host, token="ghp_" + "o" * 36)
    credential.access_envelope = other.access_envelope

    with pytest.raises(EnvelopeInvalid):
        opening.open_login(credential, actor=builders.SYSTEM, purpose="look")

    assert AuditEvent.objects.filter(action="credential.opened").count() == 1

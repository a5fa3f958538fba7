"""Opening a credential for one question, and keeping an answer only about the secret it was asked with."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, EnvelopeInvalid
from credentials.models import AuditEvent, Credential, Status
from credentials.providers.tokens import Kind
from credentials.services import disconnect, logins
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
    login = logins.open_login(credential, actor=Actor.user(bob), purpose="look", repository="acme/cases")

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
        logins.open_login(fresh(credential), actor=builders.SYSTEM, purpose="look")

    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_another_rows_envelope_is_no_login_though_the_attempt_is_recorded(
    credential: Credential, alice: User
) -> None:
    other = builders.credential(alice, credential.host, token="ghp_" + "o" * 36)
    credential.access_envelope = other.access_envelope

    with pytest.raises(EnvelopeInvalid):
        logins.open_login(credential, actor=builders.SYSTEM, purpose="look")

    assert AuditEvent.objects.filter(action="credential.opened").count() == 1


@pytest.mark.parametrize(("told", "username"), [("octo-alice", "octo-alice"), ("", "typed")])
def test_the_name_the_host_told_counts_more_than_the_one_typed(
    credential: Credential, told: str, username: str
) -> None:
    credential.account_name = told
    login = logins.login_of(credential, Secret(TOKEN))
    assert (login.username, login.email, login.kind) == (username, "alice@example.org", Kind.PERSONAL_TOKEN)


def test_a_row_is_locked_as_it_is_now(credential: Credential) -> None:
    Credential.objects.filter(pk=credential.pk).update(status=Status.REJECTED)
    with transaction.atomic():
        current = logins.lock_unchanged(credential)
    assert current is not None
    assert current.status == Status.REJECTED


def test_an_answer_about_an_older_secret_finds_no_row(credential: Credential) -> None:
    Credential.objects.filter(pk=credential.pk).update(generation=credential.generation + 1)
    with transaction.atomic():
        assert logins.lock_unchanged(credential) is None


def test_an_answer_about_a_disconnected_credential_finds_no_row(credential: Credential) -> None:
    before = fresh(credential)
    disconnect.disconnect(actor=builders.SYSTEM, credential=credential)
    with transaction.atomic():
        assert logins.lock_unchanged(before) is None
        assert logins.lock_unchanged(fresh(credential)) is None

"""What a host needs beside the token, and keeping an answer only about the secret it was asked with."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from credentials.crypto.secret import Secret
from credentials.models import Credential, Status
from credentials.providers.tokens import Kind
from credentials.services import disconnect, logins
from tests import builders
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "k" * 36


@pytest.fixture
def credential(alice: User) -> Credential:
    return builders.credential(
        alice, builders.host(), token=TOKEN, email="alice@example.org", username="typed"
    )


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

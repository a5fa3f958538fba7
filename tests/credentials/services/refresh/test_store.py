"""A new pair takes the place of the one it came from, and of no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, QuarantineReason, Revocation, RevocationReason, Status
from credentials.services import audit_proof, disconnect, quarantine, vault
from credentials.services.refresh.claim import Outcome
from credentials.services.refresh.journal import Pair
from credentials.services.refresh.store import store
from tests import builders
from tests.credentials.services.refresh.grants import gitlab_at, pair
from tests.credentials.services.refresh.test_perform import opened
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db


@pytest.fixture
def credential(alice: User) -> Credential:
    host = gitlab_at("http://127.0.0.1:9")
    return pair(alice, host, token="at-1", refresh="rt-1", ends=timedelta(minutes=1))


def answer(credential: Credential, *, access: str = "at-2", refresh: str = "rt-2") -> Pair:
    """What a provider answered to the credential as it is given, sealed as perform.py seals it."""
    generation, now = credential.generation + 1, timezone.now()
    return Pair(
        credential=credential.pk,
        owner_id=str(credential.owner_id),
        owner_name=credential.owner.get_username(),
        host=credential.host_id,
        kind=credential.kind,
        account_name=credential.account_name,
        oauth_redirect_uri=credential.oauth_redirect_uri,
        generation=generation,
        by="place:1:2#abc",
        key_id=vault.primary_key_id(),
        access_envelope=vault.seal_secret(
            Secret(access), credential.binding("access", generation=generation)
        ),
        refresh_envelope=vault.seal_secret(
            Secret(refresh), credential.binding("refresh", generation=generation)
        ),
        fingerprint=vault.fingerprint(Secret(access)),
        received_at=now,
        expires_at=now + timedelta(hours=2),
        refresh_ends_at=None,
        scopes=("read_repository",),
    )


def test_a_pair_is_stored_once_however_often_it_is_brought(credential: Credential) -> None:
    brought = answer(credential)
    assert [store(brought, now=timezone.now()) for _again in range(3)] == [Outcome.REFRESHED] * 3

    row = fresh(credential)
    assert (opened(row), opened(row, "refresh"), row.generation) == ("at-2", "rt-2", 2)
    assert (row.scopes, row.expires_at) == (["read_repository"], brought.expires_at)
    assert AuditEvent.objects.filter(action="credential.refreshed").count() == 1
    assert not Revocation.objects.exists()
    audit_proof.verify()


def test_a_pair_for_a_disconnected_account_waits_to_be_revoked_once(credential: Credential) -> None:
    brought = answer(credential)
    disconnect.close(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    for _again in range(2):
        assert store(brought, now=timezone.now()) is Outcome.LATE

    assert fresh(credential).status == Status.DISCONNECTED
    late = Revocation.objects.get(reason=RevocationReason.LATE_REFRESH)
    assert late.access_envelope is not None
    revealed = vault.unseal_after_audit(bytes(late.access_envelope), late.binding("access"))
    assert revealed.reveal() == "at-2"


def test_a_pair_whose_account_was_connected_anew_meanwhile_does_not_take_its_place(
    credential: Credential,
) -> None:
    brought = answer(credential)
    newer = answer(credential, access="at-3", refresh="rt-3")
    assert store(newer, now=timezone.now()) is Outcome.REFRESHED

    assert store(brought, now=timezone.now()) is Outcome.LATE

    assert opened(fresh(credential)) == "at-3"
    assert Revocation.objects.filter(reason=RevocationReason.LATE_REFRESH).count() == 1


def test_a_late_pair_is_revoked_although_the_disconnected_one_had_the_same_generation(
    credential: Credential,
) -> None:
    brought = answer(credential)
    assert store(answer(credential, access="at-3", refresh="rt-3"), now=timezone.now()) is Outcome.REFRESHED
    disconnect.close(actor=builders.SYSTEM, credential=fresh(credential), now=timezone.now())

    assert store(brought, now=timezone.now()) is Outcome.LATE

    waiting = Revocation.objects.filter(row=credential.pk, generation=2)
    opens = [
        vault.unseal_after_audit(bytes(one.access_envelope or b""), one.binding("access")) for one in waiting
    ]
    assert sorted(token.reveal() for token in opens) == ["at-2", "at-3"]


def test_what_was_quarantined_meanwhile_keeps_its_grant_and_stays_out_of_use(
    credential: Credential,
) -> None:
    brought = answer(credential)
    quarantine.quarantine(
        actor=builders.SYSTEM,
        credential=credential,
        reason=QuarantineReason.ADMINISTRATOR,
        now=timezone.now(),
    )
    assert store(brought, now=timezone.now()) is Outcome.REFRESHED
    row = fresh(credential)
    assert (row.status, opened(row)) == (Status.QUARANTINED, "at-2")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.VALID, Status.VALID),
        (Status.LIMITED, Status.LIMITED),
        (Status.EXPIRING, Status.VALID),
        (Status.RECONNECT_REQUIRED, Status.UNVERIFIED),
        (Status.EXPIRED, Status.UNVERIFIED),
    ],
)
def test_a_new_pair_says_that_the_grant_lives(credential: Credential, before: Status, after: Status) -> None:
    Credential.objects.filter(pk=credential.pk).update(status=before)
    store(answer(credential), now=timezone.now())
    assert fresh(credential).status == after

"""However somebody goes, nothing they held stays usable, here or at a host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Revocation, RevocationState, Status
from credentials.services import audit_proof, departures
from credentials.services.audit import Actor
from credentials.services.revocation import attempts
from tests import builders
from tests.credentials.admin.desk import browser, page
from tests.credentials.services.stored import fresh, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def _by_itself(person: User) -> None:
    person.delete()


def _by_a_query(person: User) -> None:
    User.objects.filter(pk=person.pk).delete()


def _in_the_admin(person: User) -> None:
    desk = browser(builders.user("root", is_staff=True, is_superuser=True))
    assert desk.post(page(User, "delete", person.pk), {"post": "yes"}).status_code == 302


WAYS = (_by_itself, _by_a_query, _in_the_admin)


@pytest.mark.parametrize("delete", WAYS)
@pytest.mark.django_db(transaction=True)
def test_a_deleted_person_leaves_no_live_grant(
    sandbox: RunningSandbox, alice: User, delete: Callable[[User], None]
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    held, _minted = store(sandbox, alice, host)
    store(sandbox, alice, host, status=Status.EXPIRED)
    alone = Client()
    alone.force_login(alice)
    alone.get("/")

    delete(alice)

    assert not User.objects.filter(username="alice").exists()
    assert not Credential.objects.exists()
    assert alone.get("/").status_code == 302
    attempts.attempt_due(actor=builders.SYSTEM)
    assert {row.state for row in Revocation.objects.all()} == {RevocationState.REVOKED}
    assert Revocation.objects.count() == 2
    # The trail outlives the person, and still proves itself.
    removed = AuditEvent.objects.get(action="user.removed")
    assert (removed.subject_name, removed.data) == ("alice", {"credentials": 2})
    assert AuditEvent.objects.filter(subject_id=str(held.pk)).exists()
    audit_proof.seal(now=timezone.now(), anchor=None)


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_rolled_back_changes_nothing(alice: User) -> None:
    held = builders.credential(alice, builders.host())

    with transaction.atomic():
        alice.delete()
        transaction.set_rollback(True)

    assert fresh(held).status == Status.VALID
    assert not Revocation.objects.exists()
    assert not AuditEvent.objects.filter(action="user.removed").exists()


def test_who_deletes_is_named_where_somebody_says_so(alice: User, bob: User) -> None:
    with departures.acting(Actor.user(bob)):
        alice.delete()
    bob.delete()

    names = [*AuditEvent.objects.filter(action="user.removed").order_by("seq").values_list("actor_name")]
    assert names == [("bob",), ("forgekey",)]


def test_made_inactive_by_any_code_is_quarantined_at_once(alice: User) -> None:
    held = builders.credential(alice, builders.host())
    alone = Client()
    alone.force_login(alice)
    alone.get("/")

    alice.is_active = False
    alice.save()

    assert fresh(held).status == Status.QUARANTINED
    assert alone.get("/").status_code == 302
    event = AuditEvent.objects.get(action="user.offboarded")
    assert (event.actor_kind, event.data["credentials"]) == ("system", 1)

    alice.save()
    assert AuditEvent.objects.filter(action="user.offboarded").count() == 1


@pytest.mark.parametrize("fields", [["last_login"], ["email"]])
def test_a_save_that_is_about_something_else_asks_nothing(
    alice: User, fields: list[str], django_assert_num_queries: Callable[[int], object]
) -> None:
    builders.credential(alice, builders.host())
    alice.is_active = False

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        alice.save(update_fields=fields)

    assert not AuditEvent.objects.filter(action="user.offboarded").exists()

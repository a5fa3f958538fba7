"""Offboarding over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import AuditEvent, Credential, QuarantineReason, Scope, Status
from credentials.services import quarantine
from tests import builders
from tests.credentials.api.conftest import Call
from tests.credentials.services.stored import store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def test_the_answer_is_as_the_contract_says(
    sandbox: RunningSandbox, alice: User, bob: User, call: Call
) -> None:
    host, (_client, key) = builders.sandbox_host(sandbox, "github"), builders.client()
    given, _ = store(sandbox, alice, host, account_name="octo-alice")
    ended, _ = store(sandbox, alice, host, account_name="octo-alice")
    builders.access(ended, "acme", state="accessible", name="Acme")
    lent = {"user": "alice", "credential": str(ended.pk), "purpose": "import 42"}
    lease = call(key, "POST", "/leases/", lent).json()

    answer = call(
        key,
        "POST",
        "/users/alice/offboard/",
        {"reason": "left the firm", "hand_over": [{"credential": str(given.pk), "to": "bob"}]},
    )

    assert answer.status_code == 200
    body = answer.json()
    assert (body["user"], body["active"]) == ("alice", False)
    told = {one.pop("id"): one for one in body["credentials"]}
    assert told == {
        str(given.pk): {"host": "github", "account": "octo-alice", "outcome": "handed_over", "to": "bob"},
        str(ended.pk): {"host": "github", "account": "octo-alice", "outcome": "revoked"},
    }
    (dependent,) = body["depends_on"]
    assert dependent.pop("last_borrowed_at").endswith("Z")
    assert dependent == {
        "client": "backend",
        "repository": "",
        "purpose": "import 42",
        "credential": str(ended.pk),
        "may_be_running": True,
    }
    assert body["organizations"] == [{"host": "github", "key": "acme", "name": "Acme"}]
    assert call(key, "GET", f"/leases/{lease['id']}/").json()["ended_at"] is not None
    assert call(key, "POST", "/leases/", lent).status_code == 422
    event = AuditEvent.objects.get(action="user.offboarded")
    assert (event.actor_name, event.subject_name) == ("backend", "alice")


def test_a_body_may_be_empty_and_a_second_call_tells_the_same(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client(scopes=[Scope.USERS_WRITE])

    first = call(key, "POST", "/users/alice/offboard/", {})
    again = call(key, "POST", "/users/alice/offboard/", {})

    assert first.status_code == again.status_code == 200
    assert [one["id"] for one in again.json()["credentials"]] == [str(credential.pk)]
    assert AuditEvent.objects.filter(action="user.offboarded").count() == 1


def test_the_same_idempotency_key_does_it_once(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    headers = {"Idempotency-Key": "leaver-7"}

    first = call(key, "POST", "/users/alice/offboard/", {"revoke": False}, **headers)
    User.objects.filter(pk=alice.pk).update(is_active=True)
    again = call(key, "POST", "/users/alice/offboard/", {"revoke": False}, **headers)
    other = call(key, "POST", "/users/alice/offboard/", {"revoke": True}, **headers)

    assert first.json()["credentials"] == again.json()["credentials"]
    assert User.objects.get(pk=alice.pk).is_active, "it was not done again"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"hand_over": [{"credential": "HERS", "to": "nobody"}]}, 400),
        ({"hand_over": [{"credential": "HERS", "to": "alice"}]}, 400),
        ({"hand_over": [{"credential": "HIS", "to": "charlie"}]}, 400),
        ({"hand_over": [{"credential": "HERS"}]}, 400),
        ({"hand_over": "HERS"}, 400),
        ({"revoke": "perhaps"}, 400),
        ({"hurry": True}, 400),
    ],
)
def test_a_wrong_body_changes_nothing(
    alice: User, bob: User, charlie: User, call: Call, body: dict[str, Any], status: int
) -> None:
    host, (_client, key) = builders.host(), builders.client()
    hers = builders.credential(alice, host)
    his = builders.credential(bob, host, token="ghp_" + "b" * 36)
    ids = {"HERS": str(hers.pk), "HIS": str(his.pk)}
    for one in body["hand_over"] if isinstance(body.get("hand_over"), list) else ():
        one["credential"] = ids.get(one["credential"], one["credential"])

    assert call(key, "POST", "/users/alice/offboard/", body).status_code == status

    assert User.objects.get(pk=alice.pk).is_active
    assert set(Credential.objects.values_list("status", flat=True)) == {Status.VALID}


@pytest.mark.parametrize("spoil", ["administrator", "panic", "dead", "has it"])
def test_what_can_never_be_handed_over_as_it_is_is_an_input_error_that_is_not_tried_again(
    alice: User, bob: User, call: Call, spoil: str
) -> None:
    host, (_client, key) = builders.host(), builders.client()
    hers = builders.credential(alice, host)
    if spoil == "dead":
        Credential.objects.filter(pk=hers.pk).update(status=Status.REJECTED)
    elif spoil == "has it":
        his = builders.credential(bob, host)
        Credential.objects.filter(pk__in=(hers.pk, his.pk)).update(fingerprint=b"f" * 32)
    else:
        reason = QuarantineReason(spoil)
        quarantine.quarantine(actor=builders.SYSTEM, credential=hers, reason=reason, now=timezone.now())
    before = Credential.objects.get(pk=hers.pk).status

    body = {"hand_over": [{"credential": str(hers.pk), "to": "bob"}]}
    refused = call(key, "POST", "/users/alice/offboard/", body)

    assert refused.status_code == 400
    told = refused.json()
    assert (told["code"], told["field"], told["retryable"]) == ("input_invalid", "hand_over", False)
    assert User.objects.get(pk=alice.pk).is_active
    assert Credential.objects.get(pk=hers.pk).status == before


def test_who_may_not_offboard(alice: User, admin: User, call: Call) -> None:
    host = builders.host()
    credential = builders.credential(alice, host)
    _, everywhere = builders.client("everywhere")
    _, limited = builders.client("limited", hosts=[host.slug])
    _, narrow = builders.client("narrow", scopes=[Scope.CREDENTIALS_WRITE])

    answers = [
        call(limited, "POST", "/users/alice/offboard/", {}),
        call(narrow, "POST", "/users/alice/offboard/", {}),
        call(everywhere, "POST", "/users/admin/offboard/", {}),
        call(everywhere, "POST", "/users/nobody/offboard/", {}),
        call(None, "POST", "/users/alice/offboard/", {}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 404, 401]
    credential.refresh_from_db()
    assert credential.status == Status.VALID
    assert User.objects.get(pk=admin.pk).is_active

"""Receipts in the admin: seen and filtered, asked about again, never changed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Revocation, RevocationState
from credentials.services import disconnect
from credentials.services.audit import Actor
from credentials.services.revocation import receipts
from tests import builders
from tests.credentials.admin.desk import act, browser, page, read, staff
from tests.credentials.services.revocation.dying import closed, grants
from tests.credentials.services.stored import store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "z" * 36


def waiting(owner: User) -> Revocation:
    return closed(builders.credential(owner, builders.host(), token=TOKEN, account_name="octo-alice"))


def test_the_list_says_what_became_of_each_and_narrows(desk: Client, alice: User) -> None:
    made = waiting(alice)
    listing = page(Revocation, "changelist")

    text = read(desk.get(listing))
    assert "octo-alice" in text
    assert "being revoked" in text
    for query, shown in (
        ("state__exact=pending", True),
        ("state__exact=manual", False),
        ("host=github", True),
        ("reason__exact=panic", False),
    ):
        answer = desk.get(f"{listing}?{query}")
        assert answer.status_code == 200
        assert (str(made.pk) in answer.content.decode()) is shown, query


def test_a_receipt_is_looked_at_and_not_changed(desk: Client, alice: User) -> None:
    made = waiting(alice)
    answer = desk.get(page(Revocation, "change", made.pk))
    assert "http://127.0.0.1:9/settings/tokens" in read(answer)
    assert TOKEN not in answer.content.decode()
    assert bytes(made.access_envelope or b"").hex() not in answer.content.decode()
    assert desk.post(page(Revocation, "change", made.pk), {"state": "revoked"}).status_code == 403
    assert desk.get(page(Revocation, "add")).status_code == 403
    assert desk.get(page(Revocation, "delete", made.pk)).status_code == 403
    for query in ("access_envelope__gt=x", "owner_id=1"):
        refused = desk.get(f"{page(Revocation, 'changelist')}?{query}")
        assert refused.status_code in {302, 400}, query


def test_the_host_is_asked_again_by_a_button(desk: Client, sandbox: RunningSandbox, alice: User) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    made = closed(credential)

    answer = act(desk, Revocation, "retry_now", made, from_page="yes")

    assert "revoked. the host refuses the token now" in read(answer)
    assert grants(sandbox, "gitlab") == 0
    assert answer.context["page_actions"] == []
    assert AuditEvent.objects.filter(action="credential.revocation").first().actor_name == "admin"  # type: ignore[union-attr]  # there is one
    assert "All of these are settled." in read(act(desk, Revocation, "retry_now", made))


def test_more_than_twenty_at_once_wait_for_their_turn(desk: Client, alice: User) -> None:
    host = builders.host()
    many = [closed(builders.credential(alice, host, token=f"ghp_{number:036}")) for number in range(21)]
    assert "At most 20 can be asked about at once." in read(act(desk, Revocation, "retry_now", *many))
    assert not Revocation.objects.filter(attempts__gt=0).exists()


@pytest.mark.parametrize(
    ("permissions", "asked"),
    [(("view_revocation",), 0), (("view_revocation", "delete_credential"), 1)],
)
def test_only_who_may_disconnect_asks_again(alice: User, permissions: tuple[str, ...], asked: int) -> None:
    made = waiting(alice)
    act(browser(staff("dora", *permissions)), Revocation, "retry_now", made)
    made.refresh_from_db()
    assert made.attempts == asked


def by_hand(owner: User) -> Revocation:
    made = waiting(owner)
    Revocation.objects.filter(pk=made.pk).update(state=RevocationState.MANUAL)
    return made


def test_an_administrator_closes_what_somebody_left_to_be_done_by_hand(desk: Client, alice: User) -> None:
    made = by_hand(alice)
    alice.is_active = False
    alice.save()
    (button,) = desk.get(page(Revocation, "change", made.pk)).context["page_actions"]
    assert button[0] == "mark_done"

    answer = act(desk, Revocation, "mark_done", made, from_page="yes")

    assert "1 token is marked as done." in read(answer)
    assert answer.context["page_actions"] == []
    made.refresh_from_db()
    assert (made.state, made.acknowledged_at is None) == (RevocationState.MANUAL, False)
    event = AuditEvent.objects.filter(data__outcome="done by hand").get()
    assert (event.action, event.actor_name) == ("credential.revocation", "admin")
    again = act(desk, Revocation, "mark_done", made)
    assert "None of these is to be revoked by hand." in read(again)
    assert AuditEvent.objects.filter(data__outcome="done by hand").count() == 1


def test_what_the_host_is_still_asked_about_cannot_be_marked_as_done(desk: Client, alice: User) -> None:
    made = waiting(alice)
    act(desk, Revocation, "mark_done", made)
    made.refresh_from_db()
    assert (made.state, made.acknowledged_at) == (RevocationState.PENDING, None)


@pytest.mark.parametrize(
    ("permissions", "done"),
    [(("view_revocation",), False), (("view_revocation", "delete_credential"), True)],
)
def test_only_who_may_disconnect_marks_as_done(alice: User, permissions: tuple[str, ...], done: bool) -> None:
    made = by_hand(alice)
    act(browser(staff("dora", *permissions)), Revocation, "mark_done", made)
    made.refresh_from_db()
    assert (made.acknowledged_at is not None) is done


def test_a_credentials_page_shows_its_receipts_and_the_trail_follows(desk: Client, alice: User) -> None:
    credential = builders.credential(alice, builders.host(), token=TOKEN)
    disconnect.close(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    assert "being revoked" in read(desk.get(page(Credential, "change", credential.pk)))
    made = Revocation.objects.get()
    history = desk.get(page(Revocation, "history", made.pk))
    assert f"subject_id={credential.pk}" in history["Location"]
    assert "disconnected" in read(desk.get(history["Location"]))


def test_every_page_costs_a_few_statements_however_many_rows(
    desk: Client, alice: User, django_assert_max_num_queries: object
) -> None:
    host = builders.host()
    for number in range(15):
        closed(builders.credential(alice, host, token=f"ghp_{number:036}"))
    with django_assert_max_num_queries(12):  # type: ignore[operator]  # pytest-django's fixture
        assert desk.get(page(Revocation, "changelist")).status_code == 200


def test_what_was_done_by_hand_is_told_from_what_is_still_open(desk: Client, alice: User) -> None:
    made = waiting(alice)
    Revocation.objects.filter(pk=made.pk).update(state="manual")
    made.refresh_from_db()
    listing = page(Revocation, "changelist")

    def shown(by_hand: str) -> tuple[bool, str]:
        html = desk.get(f"{listing}?by_hand={by_hand}").content.decode()
        badge = html.partition('<span class="badge badge-')[2].partition("</span>")[0].partition(">")[2]
        return str(made.pk) in html, badge

    assert (shown("open"), shown("done")) == ((True, "to be revoked by hand"), (False, ""))
    receipts.acknowledge(actor=Actor.user(alice), revocation=made, now=timezone.now())
    assert (shown("open"), shown("done")) == ((False, ""), (True, "done by hand"))

"""Offboarding a person in the administration: looked at first, then done, with a receipt for each credential."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import AuditEvent, Credential, Status
from tests import builders
from tests.credentials.admin.desk import act, borrow, browser, page, read, staff
from tests.credentials.services.stored import fresh, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def test_the_page_tells_everything_that_hangs_on_it_and_changes_nothing(desk: Client, alice: User) -> None:
    credential = builders.credential(alice, builders.host(), account_name="octo-alice")
    builders.access(credential, "acme", state="accessible", name="Acme Inc")
    borrow(builders.client("importer")[1].reveal(), credential)

    text = read(act(desk, User, "offboard", alice))

    for words in ("Offboard alice?", "octo-alice", "Acme Inc (Github)", "importer", "may be running"):
        assert words in text
    assert "stays theirs at the host" in text
    assert fresh(credential).status == Status.VALID
    assert User.objects.get(pk=alice.pk).is_active


def test_one_is_handed_over_one_is_revoked_and_the_page_shows_both_receipts(
    desk: Client, sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    given, _ = store(sandbox, alice, host, account_name="build-bot")
    ended, _ = store(sandbox, alice, host, account_name="octo-alice")

    answer = act(desk, User, "offboard", alice, confirmed="yes", reason="left", **{f"to-{given.pk}": "bob"})

    assert fresh(given).owner == bob
    assert fresh(ended).status == Status.DISCONNECTED
    text = read(answer)
    for words in ("alice is offboarded", "handed over: bob", "revoked at the host"):
        assert words in text
    assert AuditEvent.objects.get(action="user.offboarded").data["reason"] == "left"


def test_a_name_nobody_has_is_said_on_the_page_and_nothing_was_done(desk: Client, alice: User) -> None:
    credential = builders.credential(alice, builders.host(), account_name="octo-alice")
    other = builders.credential(alice, builders.host(), token="ghp_other", account_name="octo-build")

    answer = act(desk, User, "offboard", alice, confirmed="yes", **{f"to-{credential.pk}": "nobody"})

    text, html = read(answer), answer.content.decode()
    assert "octo-alice at Github, “nobody”: Hand it over to another person who is active here." in text
    (marked,) = (one for one in html.split("<input") if 'aria-invalid="true"' in one)
    assert f'name="to-{credential.pk}"' in marked
    assert f'aria-describedby="problem-{credential.pk} ' in marked
    assert f'id="problem-{credential.pk}"' in html
    assert f'id="problem-{other.pk}"' not in html
    assert User.objects.get(pk=alice.pk).is_active


def test_what_cannot_be_handed_over_is_said_beside_it(desk: Client, alice: User, bob: User) -> None:
    dead = builders.credential(alice, builders.host(), status=Status.REJECTED)

    html = act(desk, User, "offboard", alice, confirmed="yes", **{f"to-{dead.pk}": "bob"}).content.decode()

    beside = html.partition(f'id="problem-{dead.pk}"')[2].partition("</ul>")[0]
    assert "“bob”: This credential does not work any more; there is nothing to hand over." in beside
    assert User.objects.get(pk=alice.pk).is_active


def test_everything_may_stay_in_quarantine(desk: Client, alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    text = read(act(desk, User, "offboard", alice, confirmed="yes", keep="yes"))

    assert "quarantined; nothing is lent of it" in text
    assert fresh(credential).access_envelope is not None


def test_one_person_at_a_time_and_never_oneself(desk: Client, admin: User, alice: User, bob: User) -> None:
    assert "Please choose one person" in read(act(desk, User, "offboard", alice, bob, confirmed="yes"))
    assert "You cannot offboard this person." in read(act(desk, User, "offboard", admin, confirmed="yes"))
    assert User.objects.filter(is_active=True).count() == 3


@pytest.mark.parametrize(
    ("permissions", "done"),
    [
        (("view_user", "change_user"), False),
        (("view_user", "delete_credential"), False),
        (("view_user", "change_user", "delete_credential"), True),
    ],
)
def test_it_needs_both_permissions_and_no_superuser_is_offboarded_by_anybody_less(
    alice: User, admin: User, permissions: tuple[str, ...], done: bool
) -> None:
    builders.credential(alice, builders.host())
    dora = browser(staff("dora", *permissions))

    for person in (alice, admin):
        act(dora, User, "offboard", person, confirmed="yes")

    assert User.objects.get(pk=alice.pk).is_active is not done
    assert User.objects.get(pk=admin.pk).is_active
    button = b'value="offboard"' in dora.get(page(User, "change", alice.pk)).content
    assert button is done


def test_the_page_of_a_person_leads_there(desk: Client, alice: User) -> None:
    assert b'value="offboard"' in desk.get(page(User, "change", alice.pk)).content
    assert not Credential.objects.exists()

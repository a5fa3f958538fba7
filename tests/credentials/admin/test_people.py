"""People in the admin: no hash, no quiet deletion, no way up, and every change in the trail."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from credentials.models import AuditEvent, Credential, Revocation, Status
from tests import builders
from tests.credentials.admin.desk import act, browser, page, read, staff

pytestmark = pytest.mark.django_db


def form_of(person: User, **changes: str) -> dict[str, str]:
    values = {
        "username": person.username,
        "email": person.email,
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }
    return {**values, **({"is_active": "on"} if person.is_active else {}), **changes}


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("seq")


def test_the_page_of_a_person_says_that_a_password_is_set_and_nothing_of_it(
    desk: Client, alice: User
) -> None:
    answer = desk.get(page(User, "change", alice.pk))

    assert "set another" in read(answer)
    algorithm, *parts = alice.password.split("$")
    assert algorithm not in answer.content.decode()
    assert all(part[:6] not in answer.content.decode() for part in parts)


def test_the_page_that_deletes_a_person_says_what_goes_with_them(desk: Client, alice: User) -> None:
    builders.credential(alice, builders.host(), account_name="octo-alice")

    text = read(desk.get(page(User, "delete", alice.pk)))

    assert "octo-alice at Github: revoked, then deleted" in text
    assert "The audit trail stays." in text
    assert Credential.objects.exists()


def test_who_is_deleted_leaves_no_secret_but_one_that_waits_for_its_revocation(
    desk: Client, alice: User
) -> None:
    credential = builders.credential(alice, builders.host())

    desk.post(page(User, "delete", alice.pk), {"post": "yes"})

    assert not User.objects.filter(username="alice").exists()
    assert not Credential.objects.exists()
    waiting = Revocation.objects.get()
    assert (waiting.row, waiting.credential, waiting.reason) == (credential.pk, None, "offboarded")
    assert waiting.access_envelope is not None
    removed = AuditEvent.objects.get(action="user.removed")
    assert (removed.actor_name, removed.subject_name, removed.data) == ("admin", "alice", {"credentials": 1})


def test_who_is_made_inactive_by_the_form_is_quarantined_in_the_administrators_name(
    desk: Client, alice: User
) -> None:
    credential = builders.credential(alice, builders.host())

    desk.post(page(User, "change", alice.pk), form_of(alice, is_active=""))

    credential.refresh_from_db()
    assert credential.status == Status.QUARANTINED
    assert AuditEvent.objects.get(action="credential.quarantined").actor_name == "admin"
    assert AuditEvent.objects.get(action="user.offboarded").actor_name == "admin"


def test_a_person_without_credentials_can_be_deleted_and_the_trail_remembers(desk: Client, bob: User) -> None:
    answer = desk.post(page(User, "delete", bob.pk), {"post": "yes"})

    assert answer.status_code == 302
    assert not User.objects.filter(username="bob").exists()
    assert (last_event().action, last_event().subject_name, last_event().actor_name) == (
        "user.removed",
        "bob",
        "admin",
    )


def test_people_are_not_deleted_by_the_dozen(desk: Client, alice: User, bob: User) -> None:
    act(desk, User, "delete_selected", alice, bob, post="yes")

    assert User.objects.filter(username__in=["alice", "bob"]).count() == 2


def test_a_new_person_is_recorded(desk: Client) -> None:
    given = {
        "username": "erin",
        "usable_password": "true",
        "password1": "quiet-river-31",
        "password2": "quiet-river-31",
    }
    desk.post(page(User, "add"), given)

    assert User.objects.get(username="erin").check_password("quiet-river-31")
    assert (last_event().action, last_event().subject_name) == ("user.added", "erin")


def test_a_change_is_recorded_with_the_names_of_what_changed(desk: Client, bob: User) -> None:
    group = Group.objects.create(name="auditors")

    desk.post(page(User, "change", bob.pk), form_of(bob, is_staff="on", groups=str(group.pk), is_active=""))

    bob.refresh_from_db()
    assert (bob.is_staff, bob.is_active, bob.groups.get()) == (True, False, group)
    assert last_event().action == "user.changed"
    assert sorted(last_event().data["changed"]) == ["Active", "Groups", "Staff status"]


def test_a_new_password_is_recorded_and_not_told(desk: Client, bob: User) -> None:
    given = {"usable_password": "true", "password1": "quiet-river-31", "password2": "quiet-river-31"}
    desk.post(f"/admin/auth/user/{bob.pk}/password/", {**given, "set-password": "yes"})

    bob.refresh_from_db()
    assert bob.check_password("quiet-river-31")
    assert (last_event().action, last_event().data) == ("user.changed", {"changed": ["password"]})


def test_staff_who_may_change_people_cannot_raise_anyone(bob: User) -> None:
    dora = staff("dora", "view_user", "change_user")
    powers = {"is_staff": "on", "is_superuser": "on", "user_permissions": "1", "groups": "1"}

    for person in (bob, dora):
        before = list(person.user_permissions.all())
        browser(dora).post(
            page(User, "change", person.pk), form_of(person, email="new@example.org", **powers)
        )
        person.refresh_from_db()
        assert (person.email, person.is_superuser) == ("new@example.org", False)
        assert list(person.user_permissions.all()) == before
    assert not bob.is_staff


def test_staff_cannot_take_over_a_superuser(admin: User) -> None:
    dora = browser(staff("dora", "view_user", "change_user", "delete_user"))
    given = {"usable_password": "true", "password1": "quiet-river-31", "password2": "quiet-river-31"}

    assert dora.get(page(User, "change", admin.pk)).status_code == 200
    assert dora.post(page(User, "change", admin.pk), form_of(admin, email="x@example.org")).status_code == 403
    assert dora.post(f"/admin/auth/user/{admin.pk}/password/", given).status_code == 403
    assert dora.post(page(User, "delete", admin.pk), {"post": "yes"}).status_code == 403
    admin.refresh_from_db()
    assert admin.check_password("admin-demo")


def test_the_history_of_a_person_is_their_part_of_the_trail(desk: Client, bob: User) -> None:
    desk.post(page(User, "change", bob.pk), form_of(bob, email="new@example.org"))

    answer = desk.get(page(User, "history", bob.pk), follow=True)

    assert [event.action for event in answer.context["cl"].result_list] == ["user.changed"]

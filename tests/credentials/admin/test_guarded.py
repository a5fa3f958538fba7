"""What every page keeps to: nothing hidden can be asked for, and history is the trail's."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from credentials.models import AuditEvent, Credential, Host, Lease, ServiceClient
from tests.credentials.admin.desk import Stock, browser, page, read, staff

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (Credential, "access_envelope__gt=a"),
        (Credential, "fingerprint__startswith=a"),
        (Credential, "access_envelope__isnull=0"),
        (Credential, "owner__password__startswith=md5"),
        (Credential, "host__client_secret_envelope__gt=a"),
        (Credential, "key_id=a"),
        (Host, "client_secret_envelope__gt=a"),
        (ServiceClient, "key_hash__gt=a"),
        (Lease, "client__key_hash__gt=a"),
        (Lease, "credential__access_envelope__gt=a"),
        (AuditEvent, "mac__gt=a"),
        (AuditEvent, "link__gt=a"),
        (User, "password__startswith=md5"),
    ],
)
def test_a_list_cannot_be_filtered_by_what_it_does_not_show(
    desk: Client, stocked: Stock, model: type[Model], lookup: str
) -> None:
    assert desk.get(f"{page(model, 'changelist')}?{lookup}").status_code == 400


@pytest.mark.parametrize(
    ("model", "lookup", "rows"),
    [
        (Credential, "status__exact=valid", 10),
        (Credential, "status__exact=expired", 0),
        (Credential, "kind__exact=personal_token", 10),
        (Credential, "host=github", 10),
        (Credential, "host=gitlab", 0),
        (Lease, "outcome__exact=accepted", 0),
        (AuditEvent, "action=lease.created", 10),
        (AuditEvent, "actor_kind=client", 10),
        (AuditEvent, "host=github", 21),
        (AuditEvent, "host=gitlab", 0),
        (Host, "is_enabled__exact=0", 0),
    ],
)
def test_a_list_can_be_filtered_by_what_it_offers(
    desk: Client, stocked: Stock, model: type[Model], lookup: str, rows: int
) -> None:
    assert desk.get(f"{page(model, 'changelist')}?{lookup}").context["cl"].result_count == rows


def test_the_history_of_a_credential_is_its_part_of_the_trail(desk: Client, stocked: Stock) -> None:
    chosen = stocked.credentials[0]

    answer = desk.get(page(Credential, "history", chosen.pk), follow=True)

    assert {event.subject_id for event in answer.context["cl"].result_list} == {str(chosen.pk)}
    assert [event.action for event in answer.context["cl"].result_list] == [
        "lease.created",
        "credential.connected",
    ]
    assert "What happened to octo-0" in read(answer)


def test_the_history_of_a_lease_is_told_of_its_credential(desk: Client, stocked: Stock) -> None:
    lease = Lease.objects.select_related("credential").first()
    assert lease is not None

    answer = desk.get(page(Lease, "history", lease.pk), follow=True)

    assert {event.subject_id for event in answer.context["cl"].result_list} == {str(lease.credential_id)}


def test_who_may_not_see_the_trail_sees_djangos_own_history(stocked: Stock) -> None:
    viewer = browser(staff("dora", "view_credential"))

    answer = viewer.get(page(Credential, "history", stocked.credentials[0].pk))

    assert answer.status_code == 200
    assert "lease.created" not in answer.content.decode()


def test_buttons_on_a_page_are_those_the_person_may_use(stocked: Stock) -> None:
    address = page(Credential, "change", stocked.credentials[0].pk)

    def words(*permissions: str) -> list[str]:
        shown = browser(staff(f"s{len(permissions)}", *permissions)).get(address)
        return [str(word) for _name, word in shown.context["page_actions"]]

    assert words("view_credential") == []
    may_change = ["Check now", "Quarantine"]
    assert words("view_credential", "change_credential") == may_change
    assert words("view_credential", "change_credential", "delete_credential") == [*may_change, "Disconnect"]

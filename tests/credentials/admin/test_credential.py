"""Credentials in the admin: seen, checked, disconnected; never made or changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Host, Status
from credentials.providers.tokens import Kind
from credentials.services import hosts, vault
from tests import builders
from tests.credentials.admin.desk import Stock, act, borrow, browser, page, read, staff
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def row_of(desk: Client, **query: str) -> str:
    return read(desk.get(page(Credential, "changelist"), query)).partition("Last used")[2]


def test_a_row_says_whose_what_where_and_how_it_stands(desk: Client, alice: User) -> None:
    builders.credential(alice, builders.host(), account_name="octo-alice", status=Status.LIMITED)

    row = row_of(desk)

    for word in ("octo-alice", "alice", "Github", "Personal access token", "lacks a right"):
        assert word.lower() in row.lower()


def test_an_account_nobody_could_read_is_called_unknown(desk: Client, alice: User, bob: User) -> None:
    host = builders.host()
    builders.credential(alice, host)
    builders.credential(bob, host, token="ghp_" + "b" * 36, account_id="4711")

    row = row_of(desk)

    assert "unknown" in row
    assert "#4711" in row


def test_last_used_is_the_newest_lease(desk: Client, alice: User) -> None:
    chosen = builders.credential(alice, builders.host())
    _client, key = builders.client()
    borrow(key.reveal(), chosen)
    newest = borrow(key.reveal(), chosen)

    shown = desk.get(page(Credential, "changelist")).context["cl"].result_list[0].last_used_at

    assert shown == newest.created_at


def test_of_a_pair_the_end_of_what_renews_it_is_shown_without_a_query_a_row(
    desk: Client, alice: User, django_assert_num_queries: Any
) -> None:
    hour, day = timezone.now() + timedelta(hours=1), timezone.now() + timedelta(days=400)
    host = builders.host()
    lasting = pair(builders.credential(alice, host, kind=Kind.OAUTH, expires_at=hour))
    dated = pair(builders.credential(alice, host, kind=Kind.OAUTH, expires_at=hour, refresh_ends_at=day))
    row_of(desk)  # Django remembers content types from here on
    with CaptureQueriesContext(connection) as few:
        row = row_of(desk)
    number = len(few)
    assert "renewed by itself" in row
    assert f"{timezone.localtime(day):%Y-%m-%d %H:%M:%S}" in row
    assert f"{timezone.localtime(hour):%Y-%m-%d %H:%M:%S}" not in row
    assert "renewed by itself" in read(desk.get(page(Credential, "change", lasting.pk)))
    assert "renewed by itself" not in read(desk.get(page(Credential, "change", dated.pk)))

    pair(builders.credential(alice, host, kind=Kind.OAUTH, expires_at=hour))
    with django_assert_num_queries(number):
        row_of(desk)
    listed = desk.get(page(Credential, "changelist"), {"o": "6"}).context["cl"].result_list
    assert {"access_envelope", "refresh_envelope"} <= listed[0].get_deferred_fields()


def pair(stored: Credential) -> Credential:
    sealed = vault.seal_secret(Secret("r"), stored.binding("refresh"))
    Credential.objects.filter(pk=stored.pk).update(refresh_envelope=sealed)
    return stored


@pytest.mark.parametrize(("word", "found"), [("alice", 1), ("octo-al", 1), ("work", 1), ("bob", 0)])
def test_search_finds_owner_account_and_label(
    desk: Client, alice: User, bob: User, word: str, found: int
) -> None:
    builders.credential(alice, builders.host(), account_name="octo-alice", label="work")

    assert desk.get(page(Credential, "changelist"), {"q": word}).context["cl"].result_count == found


def test_the_page_of_a_credential_tells_what_was_learned(desk: Client, alice: User) -> None:
    chosen = builders.credential(
        alice,
        builders.host(),
        scopes=["repo", "read:org"],
        missing_scopes=["workflow"],
        email="a@example.org",
    )
    builders.access(
        chosen,
        "assxxx",
        state="not_approved",
        evidence="GET /user/memberships/orgs: 403",
        mend_url="https://github.com/orgs/assxxx/policies",
    )

    answer = desk.get(page(Credential, "change", chosen.pk))

    for word in (
        "repo",
        "read:org",
        "workflow",
        "assxxx",
        "not approved yet",
        "GET /user/memberships/orgs: 403",
    ):
        assert word in read(answer)
    assert (
        'href="https://github.com/orgs/assxxx/policies" rel="noreferrer noopener"' in answer.content.decode()
    )


def test_a_link_that_is_no_web_address_is_not_a_link(desk: Client, alice: User) -> None:
    chosen = builders.credential(alice, builders.host())
    builders.access(chosen, "x", mend_url="javascript:alert(1)")

    assert b"javascript:" not in desk.get(page(Credential, "change", chosen.pk)).content


def test_organizations_cannot_be_changed_beside_a_credential(desk: Client, stocked: Stock) -> None:
    chosen = stocked.credentials[0]
    access = chosen.organizations.get()

    answer = desk.post(
        page(Credential, "change", chosen.pk),
        {
            "organizations-TOTAL_FORMS": 1,
            "organizations-INITIAL_FORMS": 1,
            "organizations-0-id": access.pk,
            "organizations-0-credential": chosen.pk,
            "organizations-0-DELETE": "on",
        },
    )

    assert answer.status_code == 403
    assert chosen.organizations.exists()


def sandbox_credential(sandbox: RunningSandbox, owner: User, host: Host, **fields: Any) -> Credential:
    minted = sandbox.mint(host.slug, "octo-alice", "personal_token", ["repo", "read:org"])
    return builders.credential(owner, host, token=minted.token, **fields)


def test_check_now_asks_the_host_and_says_what_it_answered(
    desk: Client, sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    good = sandbox_credential(sandbox, alice, host, status=Status.UNVERIFIED)
    dead = builders.credential(alice, host, token="ghp_" + "d" * 36)

    text = read(act(desk, Credential, "check_now", good, dead))

    good.refresh_from_db()
    dead.refresh_from_db()
    assert (good.status, good.account_name, dead.status) == (Status.VALID, "octo-alice", Status.REJECTED)
    assert "The credential of alice at GitHub: It works" in text
    opened = AuditEvent.objects.filter(action="credential.opened")
    assert {(event.actor_name, event.purpose) for event in opened} == {("admin", "check by an administrator")}


def test_a_host_that_does_not_answer_changes_nothing(desk: Client, alice: User) -> None:
    chosen = builders.credential(alice, builders.host())

    text = read(act(desk, Credential, "check_now", chosen, from_page="yes"))

    chosen.refresh_from_db()
    assert chosen.status == Status.VALID
    assert "The credential of alice at Github:" in text


def test_what_is_disconnected_or_closed_is_not_checked(desk: Client, admin: User, alice: User) -> None:
    host = builders.host()
    chosen = builders.credential(alice, host)
    hosts.set_enabled(actor=builders.SYSTEM, host=host, enabled=False)

    text = read(act(desk, Credential, "check_now", chosen))

    assert "not checked: it is disconnected, or its host is closed." in text
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_disconnecting_asks_first(desk: Client, stocked: Stock) -> None:
    one, two = stocked.credentials[:2]

    answer = act(desk, Credential, "disconnect", one, two)

    assert "Disconnect credentials?" in read(answer)
    assert "octo-0 (alice, Github)" in read(answer)
    assert not Credential.objects.filter(status=Status.DISCONNECTED).exists()


def test_a_confirmed_disconnection_destroys_the_secrets_and_says_what_remains(
    desk: Client, sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    chosen = sandbox_credential(sandbox, alice, host)

    answer = act(desk, Credential, "disconnect", chosen, confirmed="yes", from_page="yes")

    chosen.refresh_from_db()
    assert (chosen.status, chosen.access_envelope, chosen.fingerprint) == (Status.DISCONNECTED, None, None)
    assert "The credential of alice at GitHub: disconnected" in read(answer)
    assert answer.redirect_chain[-1][0] == page(Credential, "change", chosen.pk)
    assert answer.context["page_actions"] == []
    assert AuditEvent.objects.get(action="credential.disconnected").actor_name == "admin"


def test_more_than_twenty_at_once_are_left_alone(desk: Client, alice: User) -> None:
    host = builders.host()
    many = [builders.credential(alice, host, token=f"ghp_{number:036}") for number in range(21)]

    for action in ("check_now", "disconnect"):
        assert "At most 20 credentials can be done at once." in read(
            act(desk, Credential, action, *many, confirmed="yes")
        )
    assert not AuditEvent.objects.filter(action__in=["credential.opened", "credential.disconnected"]).exists()


@pytest.mark.parametrize(
    ("permissions", "checked", "disconnected"),
    [
        (("view_credential",), 0, 0),
        (("view_credential", "change_credential"), 1, 0),
        (("view_credential", "delete_credential"), 0, 1),
    ],
)
def test_actions_need_their_permission(
    stocked: Stock, permissions: tuple[str, ...], checked: int, disconnected: int
) -> None:
    dora = browser(staff("dora", *permissions))
    chosen = stocked.credentials[0]

    act(dora, Credential, "check_now", chosen)
    act(dora, Credential, "disconnect", chosen, confirmed="yes")

    assert AuditEvent.objects.filter(action="credential.opened").count() == checked
    assert AuditEvent.objects.filter(action="credential.disconnected").count() == disconnected


def test_a_list_does_not_even_load_what_is_sealed(
    desk: Client, stocked: Stock, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(40) as asked:
        desk.get(page(Credential, "changelist"))
        desk.get(page(Credential, "change", stocked.credentials[0].pk))

    for column in ("access_envelope", "refresh_envelope", "fingerprint", "client_secret_envelope"):
        selected = [query["sql"].partition(" FROM ")[0] for query in asked.captured_queries]
        assert not any(column in columns for columns in selected), column


def test_an_expired_kind_of_everything_still_shows(desk: Client, alice: User) -> None:
    host = builders.host()
    for number, (kind, status) in enumerate(zip(Kind, Status, strict=False)):
        ends = timezone.now() - timedelta(days=number)
        builders.credential(alice, host, token=f"ghp_{number:036}", kind=kind, status=status, expires_at=ends)

    assert desk.get(page(Credential, "changelist")).context["cl"].result_count == len(Kind)

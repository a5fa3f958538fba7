"""The trail in the admin: read by whoever may, changed by nobody, and never counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.admin.audit import ACTIONS
from credentials.admin.paging import REACH
from credentials.models import AuditEvent
from credentials.models.audit import Action
from credentials.services import audit
from credentials.services.audit import Actor, Subject
from tests import builders
from tests.credentials.admin.desk import Stock, browser, page, read, staff

pytestmark = pytest.mark.django_db

LIST = "/admin/credentials/auditevent/"


def count(desk: Client, query: str) -> int:
    return int(desk.get(f"{LIST}?{query}").context["cl"].result_count)


def test_every_action_can_be_chosen_and_nothing_else_is_ever_recorded() -> None:
    assert set(ACTIONS) == set(Action.values)
    assert all(str(words) for words in ACTIONS.values())
    with pytest.raises(ValueError, match="not a valid Action"):
        audit.build("thing.done", actor=builders.SYSTEM, subject=Subject(kind="host", id="1", name="x"))


def test_a_row_says_who_did_what_to_whom_where_and_why(desk: Client, stocked: Stock) -> None:
    text = read(desk.get(f"{LIST}?action=lease.created"))

    for word in ("backend (service client)", "lent", "credential: octo-0", "alice", "github", "import 42"):
        assert word in text


def test_the_page_of_an_event_shows_everything_and_the_beginnings_of_mac_and_link(
    desk: Client, stocked: Stock
) -> None:
    event = AuditEvent.objects.filter(action="lease.created").latest("seq")

    answer = desk.get(page(AuditEvent, "change", event.pk))

    text = read(answer)
    for word in (event.reference, event.address, event.subject_id, event.actor_id, event.data["lease"]):
        assert word in text
    for digest in (bytes(event.mac), bytes(event.link)):
        assert digest.hex()[:16] in text
        assert digest.hex()[:20] not in text


@pytest.mark.parametrize("word", ["alice", "ALICE", "backend", "github", "Github", "host.added", "'Github'"])
def test_whole_words_find_the_events_that_speak_of_them(desk: Client, stocked: Stock, word: str) -> None:
    assert count(desk, f"q={word}") > 0


def test_every_word_of_a_search_counts(desk: Client, stocked: Stock) -> None:
    assert count(desk, "q=alice lease.created") == 10
    assert count(desk, "q=alice host.added") == 0
    assert count(desk, "q=nobody") == 0
    assert count(desk, "q=alice nobody") == 0


def test_an_id_finds_its_events(desk: Client, stocked: Stock) -> None:
    chosen = stocked.credentials[4]
    event = AuditEvent.objects.filter(subject_id=str(chosen.pk)).earliest("seq")

    assert count(desk, f"q={chosen.pk}") == 2
    assert count(desk, f"q={event.id}") == 1


def test_events_outlive_whom_they_speak_of(desk: Client, bob: User) -> None:
    subject = Subject(kind="user", id=str(bob.pk), name="bob", owner_id=str(bob.pk), owner_name="bob")
    audit.record("user.changed", actor=Actor.user(bob), subject=subject)
    bob.delete()

    assert "bob" in read(desk.get(LIST))


def test_a_search_asks_only_for_indexed_columns(
    desk: Client, stocked: Stock, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(20) as asked:
        desk.get(f"{LIST}?q=alice")

    events = [query["sql"] for query in asked.captured_queries if "credentials_auditevent" in query["sql"]]
    assert events
    assert not any(
        "LIKE" in sql.upper() or "_name" in sql.split("WHERE")[-1].split("ORDER")[0] for sql in events
    )


def test_the_trail_is_never_counted_to_its_end(
    desk: Client, stocked: Stock, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(20) as asked:
        desk.get(LIST)

    counting = [query["sql"] for query in asked.captured_queries if "COUNT(" in query["sql"].upper()]
    assert counting
    assert all(f"LIMIT {REACH}" in sql for sql in counting)


def test_the_trail_has_no_actions_and_no_buttons(desk: Client, stocked: Stock) -> None:
    answer = desk.get(LIST)

    assert answer.context["action_form"] is None
    assert b'name="action"' not in answer.content
    assert answer.context["has_add_permission"] is False


@pytest.mark.parametrize("permission", ["view_auditevent", "view_credential"])
def test_only_who_may_view_the_trail_reads_it(stocked: Stock, permission: str) -> None:
    expected = 200 if permission == "view_auditevent" else 403

    assert browser(staff("audrey", permission)).get(LIST).status_code == expected


def test_a_person_named_by_nothing_here_breaks_no_search(desk: Client) -> None:
    builders.host()

    for word in ('"', "%27", "%00x", "a" * 300, "%25", '"" alice'):
        assert desk.get(f"{LIST}?q={word}", follow=True).status_code == 200, word

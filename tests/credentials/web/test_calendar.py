"""The page of what ends when: in order, in plain words, each line with the one button that mends it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Host, Status
from credentials.providers.tokens import Kind
from credentials.services import vault
from tests import builders
from tests.credentials.web.visitor import oauth_host, visit

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOON = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)


def text_of(answer: Any) -> str:
    main = answer.content.decode().split("<main", 1)[1].split("</main", 1)[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def page(client: Client) -> str:
    answer = client.get(reverse("calendar"))
    assert answer.status_code == 200
    return text_of(answer)


def dated(owner: User, at: Host, name: str, ends: datetime | None, **fields: Any) -> Credential:
    return builders.credential(owner, at, token=f"t-{name}", label=name, expires_at=ends, **fields)


def test_everything_stands_in_the_order_of_its_end(alice: User) -> None:
    gitea = builders.host("gitea")
    for name, days in (("second", 40), ("first", 3), ("third", 200)):
        dated(alice, gitea, name, NOON + days * DAY)
    dated(alice, gitea, "endless", None)
    dated(alice, gitea, "dead", NOON - DAY, status=Status.EXPIRED)
    dated(alice, gitea, "just over", NOON - DAY)
    dated(alice, gitea, "held", None, status=Status.QUARANTINED)
    said = page(visit(alice))
    order = [
        "Over already",
        "dead",
        "just over",
        "To come",
        "first",
        "second",
        "third",
        "No end in sight",
        "endless",
    ]
    places = [said.index(word) for word in order]
    assert places == sorted(places)
    assert "in 3 days" in said
    assert "held" not in said


def test_what_is_certain_and_what_is_likely_is_said(alice: User) -> None:
    dated(alice, builders.host("gitea"), "typed", NOON + 5 * DAY)
    dated(alice, builders.host("github"), "unused", None)
    said = page(visit(alice))
    assert "certain The token ends on this day, by the date that was typed in here" in said
    assert "likely GitHub removes tokens that were not used for a year" in said


def test_each_line_has_the_button_that_mends_it(alice: User) -> None:
    github = oauth_host()
    token = dated(alice, github, "token", NOON + 5 * DAY)
    unused = dated(alice, builders.host("gitea"), "x", None)
    Credential.objects.filter(pk=unused.pk).update(host=github)
    pair = dated(alice, github, "pair", NOON, kind=Kind.OAUTH, refresh_ends_at=NOON + 9 * DAY)
    sealed = vault.seal_secret(Secret("r"), pair.binding("refresh"))
    Credential.objects.filter(pk=pair.pk).update(refresh_envelope=sealed)
    body = visit(alice).get(reverse("calendar")).content.decode()
    assert f'href="{reverse("credential_replace", args=[token.pk])}"' in body
    assert f'action="{reverse("credential_test", args=[unused.pk])}"' in body
    assert f'action="{reverse("credential_reconnect", args=[pair.pk])}"' in body


def test_what_only_an_administrator_mends_has_no_button(alice: User) -> None:
    github = oauth_host()
    Host.objects.update(client_refused_since=NOON)
    pair = dated(alice, github, "pair", NOON, kind=Kind.OAUTH)
    sealed = vault.seal_secret(Secret("r"), pair.binding("refresh"))
    Credential.objects.filter(pk=pair.pk).update(refresh_envelope=sealed)
    client = visit(alice)
    assert "any day" in page(client)
    assert "there is nothing for you to do" in page(client)
    assert "reconnect/" not in client.get(reverse("calendar")).content.decode()


def test_everybody_sees_their_own_only(alice: User, charlie: User) -> None:
    dated(alice, builders.host("gitea"), "secret project", NOON + DAY)
    assert "secret project" not in page(visit(charlie))
    assert "nothing ends" in page(visit(charlie))
    assert Client().get(reverse("calendar")).status_code == 302


def test_the_number_of_statements_does_not_grow(alice: User) -> None:
    client, github = visit(alice), oauth_host()
    counts = []
    for number in (1, 12):
        for one in range(number):
            dated(alice, github, f"n{number}-{one}", NOON + DAY, kind=Kind.OAUTH, account_id="1")
        with CaptureQueriesContext(connection) as seen:
            page(client)
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_the_cards_say_how_many_days_are_left(alice: User) -> None:
    gitea = builders.host("gitea")
    dated(alice, gitea, "near", NOON + 5 * DAY)
    dated(alice, gitea, "far", NOON + 200 * DAY)
    said = text_of(visit(alice).get(reverse("connections")))
    assert said.count("ends in") == 1
    assert "ends in 5 days" in said


def test_the_access_token_of_a_pair_is_not_called_an_end(alice: User) -> None:
    pair = dated(
        alice, builders.host("gitea"), "pair", timezone.now() + timedelta(minutes=9), kind=Kind.OAUTH
    )
    sealed = vault.seal_secret(Secret("r"), pair.binding("refresh"))
    Credential.objects.filter(pk=pair.pk).update(refresh_envelope=sealed)
    said = text_of(visit(alice).get(reverse("connections")))
    assert "renewed by itself" in said
    assert "ends today" not in said


# --- The date that no host tells -----------------------------------------------------------------------


@pytest.fixture
def held(alice: User) -> Credential:
    return dated(alice, builders.host("bitbucket"), "cloud", None, kind=Kind.API_TOKEN)


def put(client: Client, held: Credential, when: str) -> Any:
    return client.post(reverse("credential_expiry", args=[held.pk]), {"expires_at": when}, follow=True)


def test_a_date_is_typed_in_corrected_and_taken_away(alice: User, held: Credential) -> None:
    client = visit(alice)
    for when in ("2040-03-01", "2041-04-02", ""):
        assert "The date was stored" in text_of(put(client, held, when))
        held.refresh_from_db()
        assert (held.expires_at.date().isoformat() if held.expires_at else "") == when
        shown = client.get(reverse("credential", args=[held.pk])).content.decode()
        assert not when or f'value="{when}"' in shown
    assert AuditEvent.objects.filter(action="credential.expiry_set", actor_name="alice").count() == 3


@pytest.mark.parametrize("when", ["2020-01-01", "soon", "2040-13-01"])
def test_what_is_no_date_to_come_is_said_beside_the_field(alice: User, held: Credential, when: str) -> None:
    answer = put(visit(alice), held, when)
    assert answer.status_code == 200
    assert 'class="errorlist"' in answer.content.decode()
    held.refresh_from_db()
    assert held.expires_at is None


def test_where_the_host_tells_the_date_nothing_can_be_typed(alice: User) -> None:
    told = dated(alice, builders.host("github"), "hub", NOON + 5 * DAY)
    client = visit(alice)
    assert "expiry/" not in client.get(reverse("credential", args=[told.pk])).content.decode()
    put(client, told, "2040-03-01")
    told.refresh_from_db()
    assert told.expires_at == NOON + 5 * DAY


def test_nobody_dates_what_is_not_theirs(charlie: User, held: Credential) -> None:
    assert put(visit(charlie), held, "2040-03-01").status_code == 404
    held.refresh_from_db()
    assert held.expires_at is None

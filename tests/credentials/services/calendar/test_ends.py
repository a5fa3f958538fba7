"""What ends when: told dates, typed dates, and the silent ends each provider documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Lease, Status
from credentials.providers.tokens import Kind
from credentials.services import calendar, vault
from credentials.services.calendar import End, EndKind, Mend
from tests import builders

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def stored(owner: User, at: Host, *, kind: Kind = Kind.PERSONAL_TOKEN, **fields: Any) -> Credential:
    """A credential of a given past; nothing about it happened now."""
    made = builders.credential(owner, at, kind=kind, token=f"token-{Credential.objects.count()}")
    past = {"sealed_at": NOW, "created_at": NOW, "last_verified_at": NOW}
    Credential.objects.filter(pk=made.pk).update(**{**past, **fields})
    return Credential.objects.get(pk=made.pk)


def paired(owner: User, at: Host, **fields: Any) -> Credential:
    made = stored(owner, at, kind=Kind.OAUTH, expires_at=NOW + timedelta(hours=2), **fields)
    sealed = vault.seal_secret(Secret("r"), made.binding("refresh"))
    Credential.objects.filter(pk=made.pk).update(refresh_envelope=sealed)
    return made


def ends(of: Credential) -> tuple[End, ...]:
    [(_row, found)] = calendar.read(Credential.objects.filter(pk=of.pk), now=NOW) or [(of, ())]
    return found


def test_a_date_the_host_tells_is_certain_and_replaced_before(alice: User) -> None:
    [end] = ends(stored(alice, builders.host(), expires_at=NOW + 20 * DAY))

    assert (end.kind, end.at, end.is_certain, end.step) == (
        EndKind.EXPIRY,
        NOW + 20 * DAY,
        True,
        Mend.REPLACE,
    )
    assert "Github says" in end.text


def test_a_likely_end_before_a_certain_one_counts_and_one_behind_it_does_not(alice: User) -> None:
    held = stored(alice, builders.host(), expires_at=NOW + 2 * YEAR)
    assert [end.kind for end in ends(held)] == [EndKind.UNUSED, EndKind.EXPIRY]
    Credential.objects.update(expires_at=NOW + 300 * DAY)
    assert [end.kind for end in ends(held)] == [EndKind.EXPIRY]


def test_a_date_that_was_typed_in_is_called_so(alice: User) -> None:
    [end] = ends(stored(alice, builders.host("bitbucket"), kind=Kind.API_TOKEN, expires_at=NOW + DAY))

    assert end.is_certain
    assert "typed in" in end.text


def test_the_short_token_of_a_pair_is_no_end_but_its_refresh_token_is(alice: User) -> None:
    host = builders.host(client_id="app", client_secret=Secret("s"))

    [end] = ends(paired(alice, host, refresh_ends_at=NOW + 180 * DAY))

    assert (end.kind, end.at, end.step) == (EndKind.REFRESH, NOW + 180 * DAY, Mend.RECONNECT)


@pytest.mark.parametrize("kind", [Kind.PERSONAL_TOKEN, Kind.FINE_GRAINED_TOKEN, Kind.OAUTH])
def test_github_removes_what_was_unused_for_a_year(alice: User, kind: Kind) -> None:
    long_ago = NOW - 300 * DAY
    held = stored(alice, builders.host(), kind=kind, sealed_at=long_ago, last_verified_at=long_ago)

    [end] = ends(held)

    assert (end.kind, end.at, end.is_certain, end.step) == (EndKind.UNUSED, long_ago + YEAR, False, Mend.TEST)


def test_every_use_that_is_known_puts_that_end_off(alice: User) -> None:
    long_ago = NOW - 300 * DAY
    past: dict[str, Any] = {"sealed_at": long_ago, "created_at": long_ago, "last_verified_at": long_ago}
    host, (client, _key) = builders.host(), builders.client()
    lent, asked, checked = (stored(alice, host, **past) for _ in range(3))
    Lease.objects.create(
        client=client, credential=lent, purpose="p", chosen_because="only_one", created_at=NOW - 3 * DAY,
        expires_at=NOW,
    )  # fmt: skip
    builders.access(asked, "acme", checked_at=NOW - 2 * DAY)
    Credential.objects.filter(pk=checked.pk).update(last_verified_at=NOW - DAY)

    assert [ends(one)[0].at for one in (lent, asked, checked)] == [NOW + YEAR - n * DAY for n in (3, 2, 1)]


@pytest.mark.parametrize(
    ("slug", "life"), [("bitbucket", timedelta(days=90)), ("gitea", timedelta(hours=730))]
)
def test_an_authorization_that_is_not_renewed_ends_silently(alice: User, slug: str, life: timedelta) -> None:
    [end] = ends(paired(alice, builders.host(slug), sealed_at=NOW - 25 * DAY))

    assert (end.kind, end.at, end.is_certain) == (EndKind.UNRENEWED, NOW - 25 * DAY + life, False)


def test_a_date_that_was_told_makes_guessing_needless(alice: User) -> None:
    held = paired(alice, builders.host("bitbucket"), sealed_at=NOW - 80 * DAY, refresh_ends_at=NOW + 40 * DAY)
    assert [end.kind for end in ends(held)] == [EndKind.REFRESH]


def test_an_authorization_that_is_renewed_has_no_end_in_sight(alice: User) -> None:
    assert ends(paired(alice, builders.host("gitea"), sealed_at=NOW - DAY)) == ()


def test_a_bitbucket_api_token_lives_a_year_at_most(alice: User) -> None:
    [end] = ends(stored(alice, builders.host("bitbucket"), kind=Kind.API_TOKEN))

    assert (end.kind, end.at, end.is_certain) == (EndKind.LONGEST, NOW + YEAR, False)


def test_a_gitlab_token_without_a_date_has_none_once_gitlab_was_asked(alice: User) -> None:
    host = builders.host("gitlab")

    assert ends(stored(alice, host)) == ()
    [end] = ends(stored(alice, host, last_verified_at=None))
    assert (end.kind, end.at) == (EndKind.LONGEST, NOW + YEAR)


def test_a_gitea_token_has_no_end(alice: User) -> None:
    assert ends(stored(alice, builders.host("gitea"))) == ()


def test_a_refused_client_threatens_only_what_must_be_renewed(alice: User) -> None:
    host = builders.host(client_id="app", client_secret=Secret("s"))
    Host.objects.update(client_refused_since=NOW)

    kinds = {end.kind for end in ends(paired(alice, host, refresh_ends_at=NOW + YEAR))}
    assert EndKind.CLIENT_REFUSED in kinds
    assert EndKind.CLIENT_REFUSED not in {end.kind for end in ends(stored(alice, host))}


def test_another_client_at_the_host_threatens_what_our_own_flow_brought(alice: User) -> None:
    host = builders.host(client_id="new", client_secret=Secret("s"))
    pair = paired(alice, host, oauth_client_id="old", refresh_ends_at=NOW + YEAR)
    whole = stored(
        alice, host, kind=Kind.OAUTH, oauth_client_id="old", oauth_redirect_uri="https://us.example/"
    )
    pasted = stored(alice, host, kind=Kind.OAUTH, oauth_client_id="another-app")
    same = paired(alice, host, oauth_client_id="new", refresh_ends_at=NOW + YEAR)

    first = [ends(one)[0] for one in (pair, whole, pasted, same)]

    changed = EndKind.CLIENT_CHANGED
    assert [(end.kind is changed, end.is_certain) for end in first[:2]] == [(True, True), (True, False)]
    assert [end.kind is changed for end in first[2:]] == [False, False]


def _many(owner: User, host: Host, number: int, **fields: Any) -> list[Credential]:
    granted = {"account_id": "1", "oauth_client_id": "app", "scopes": ["repo", "read:org"], **fields}
    return [
        stored(owner, host, kind=Kind.OAUTH, sealed_at=NOW - (number - n) * DAY, **granted)
        for n in range(number)
    ]


def test_the_oldest_of_ten_authorizations_is_the_next_to_go(alice: User) -> None:
    host = builders.host(client_id="app", client_secret=Secret("s"))
    held = _many(alice, host, 9)
    assert all(end.kind is EndKind.UNUSED for one in held for end in ends(one))

    # The order of scopes says nothing; other scopes, accounts and clients are counted apart.
    held += _many(alice, host, 1, scopes=["read:org", "repo"])
    _many(alice, host, 1, scopes=["repo"])
    _many(alice, host, 1, account_id="2")

    crowded = [one for one in held if any(end.kind is EndKind.CROWDED for end in ends(one))]
    assert crowded == [held[0]]
    everything = calendar.read(Credential.objects.all(), now=NOW, within=DAY)
    assert [row.pk for row, _ends in everything] == [held[0].pk], "found among many as well"


@pytest.mark.parametrize(
    "status", [s for s in Status if s not in {"valid", "limited", "expiring", "unverified"}]
)
def test_what_lives_no_more_has_no_end_to_come(alice: User, status: Status) -> None:
    held = stored(alice, builders.host(), expires_at=NOW + DAY)
    sealed = {"access_envelope": None, "fingerprint": None} if status == Status.DISCONNECTED else {}
    Credential.objects.filter(pk=held.pk).update(status=status, **sealed)
    assert ends(held) == ()


def test_what_is_within_reach_is_found_whatever_its_rule(alice: User) -> None:
    """The quick search by columns finds exactly what the rules say."""
    github, gitlab = builders.host(client_id="app", client_secret=Secret("s")), builders.host("gitlab")
    bitbucket, gitea = builders.host("bitbucket"), builders.host("gitea")
    for days in (1, 29, 31, 89, 91, 200, 334, 336, 364, 366, 400):
        past = NOW - days * DAY
        aged: dict[str, Any] = {"sealed_at": past, "created_at": past, "last_verified_at": past}
        stored(alice, github, **aged)
        stored(alice, github, expires_at=NOW + days * DAY)
        stored(alice, gitlab, **{**aged, "last_verified_at": None})
        stored(alice, bitbucket, kind=Kind.API_TOKEN, **aged)
        paired(alice, bitbucket, **aged)
        paired(alice, gitea, **aged)
        paired(alice, github, refresh_ends_at=NOW + days * DAY)
    whole = calendar.read(Credential.objects.all(), now=NOW)

    for reach in (0, 7, 30, 90, 365):
        until = NOW + reach * DAY
        expected = {row.pk for row, found in whole for end in found if end.at and end.at <= until}
        quick = calendar.read(Credential.objects.all(), now=NOW, within=reach * DAY)
        assert {row.pk for row, _ends in quick} == expected
        assert expected or reach == 0


def test_the_number_of_statements_does_not_grow(alice: User) -> None:
    host = builders.host()
    counts = []
    for number in (1, 20):
        for _ in range(number):
            stored(alice, host, expires_at=NOW + DAY, kind=Kind.OAUTH, account_id="1")
        with CaptureQueriesContext(
            connection,
        ) as seen:
            calendar.read(Credential.objects.all(), now=NOW, within=90 * DAY)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 4

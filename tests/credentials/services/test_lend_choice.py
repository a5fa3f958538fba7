"""Which credential is lent for a repository, at a host that can be asked: once, and then from memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import NoUsableCredential
from credentials.models import Credential, Host, RepositoryAccess
from credentials.services import clients, lend
from credentials.services.choice import REFUSAL_KEPT, Reason
from credentials.services.lend import LeaseRequest, LentCredential
from credentials.verdicts import VerdictCode
from tests import builders
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def github(sandbox: RunningSandbox) -> Host:
    return builders.sandbox_host(sandbox, "github")


@pytest.fixture
def key(db: None) -> Secret:
    _client, made = builders.client()
    return made


def hold(
    sandbox: RunningSandbox, owner: User, host: Host, account: str = "octo-alice", **facts: Any
) -> Credential:
    """A classic token with ``repo``, stored and never looked at."""
    made = sandbox.mint(host.slug, account, "personal_token", ["repo"])
    return builders.credential(owner, host, token=made.token, **facts)


def later(by: timedelta) -> Callable[[], datetime]:
    return lambda: timezone.now() + by


def borrow(key: Secret, repository_url: str, *, now: Callable[[], datetime] = timezone.now) -> LentCredential:
    wanted = LeaseRequest(user="alice", purpose="import 42", repository_url=repository_url)
    return lend.lend(key=clients.parse_key(key.reveal()), request=wanted, address="127.0.0.1", now=now)


def refusal(key: Secret, repository_url: str, *, now: Callable[[], datetime] = timezone.now) -> VerdictCode:
    with pytest.raises(NoUsableCredential) as refused:
        borrow(key, repository_url, now=now)
    return refused.value.verdict.code


def asked(sandbox: RunningSandbox, host: Host) -> int:
    """How often the host was asked since the last time."""
    number = len(sandbox.calls(host.slug))
    sandbox.control(host.slug, "DELETE", "calls")
    return number


# --- Asked once ------------------------------------------------------------------------------------------


def test_the_first_lease_asks_the_host_and_the_second_needs_three_statements_and_no_question(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    hold(sandbox, alice, github, "octo-bob")
    right = hold(sandbox, alice, github)
    hold(sandbox, alice, github, "octo-bob")
    address = f"{github.web_url}/octo-alice/private-cases"

    first = borrow(key, address)
    asked_first = asked(sandbox, github)
    with CaptureQueriesContext(connection) as captured:
        second = borrow(key, f"{github.web_url}/Octo-Alice/private-cases.git/")

    assert [lent.candidate.id for lent in (first, second)] == [right.pk, right.pk]
    assert asked_first > 0
    assert asked(sandbox, github) == 0
    statements = [
        query["sql"]
        for query in captured.captured_queries
        if not query["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))
    ]
    assert len(statements) <= 3, statements
    assert second.chosen_because == Reason.READ_IT_BEFORE
    assert [judged.reason for judged in second.judged] == [
        Reason.READ_IT_BEFORE,
        Reason.NOT_CHOSEN,
        Reason.CANNOT_READ_IT,
    ]


def test_those_that_the_host_refused_are_passed_over_and_named(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    right = hold(sandbox, alice, github)
    wrong = hold(sandbox, alice, github, "octo-bob")

    lent = borrow(key, f"{github.web_url}/octo-alice/private-cases")

    assert lent.candidate.id == right.pk
    assert {judged.candidate.id: judged.reason for judged in lent.judged} == {
        right.pk: Reason.ONLY_ONE,
        wrong.pk: Reason.CANNOT_READ_IT,
    }


def test_what_read_the_repository_before_wins_over_an_organization_that_lets_in(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    reader = hold(sandbox, alice, github)
    member = hold(sandbox, alice, github, "octo-bob")
    builders.access(member, "acme", state="accessible")
    RepositoryAccess.objects.create(
        credential=reader, key="acme/cases", verdict=VerdictCode.OK, checked_at=timezone.now()
    )

    cases, others = (borrow(key, f"{github.web_url}/acme/{name}") for name in ("cases", "public-cases"))

    assert (cases.candidate.id, cases.chosen_because) == (reader.pk, Reason.READ_IT_BEFORE)
    assert (others.candidate.id, others.chosen_because) == (member.pk, Reason.ORGANIZATION_MATCHES)
    assert asked(sandbox, github) == 0


def test_of_two_alike_one_is_taken_and_the_other_is_named_as_not_chosen(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    older, newer = hold(sandbox, alice, github), hold(sandbox, alice, github)

    lent = borrow(key, f"{github.web_url}/acme/cases")

    assert lent.candidate.id == newer.pk
    assert {judged.candidate.id: judged.reason for judged in lent.judged} == {
        newer.pk: Reason.READ_IT_BEFORE,
        older.pk: Reason.NOT_CHOSEN,
    }


# --- A refusal is believed for ten minutes ---------------------------------------------------------------


def test_a_refusal_is_said_again_from_memory_and_asked_again_after_ten_minutes(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    hold(sandbox, alice, github, "octo-bob")
    address = f"{github.web_url}/octo-alice/private-cases"

    assert refusal(key, address) is VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert asked(sandbox, github) > 0
    assert refusal(key, address) is VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert refusal(key, address, now=later(REFUSAL_KEPT - timedelta(seconds=30))) is (
        VerdictCode.NOT_FOUND_OR_NO_ACCESS
    )
    assert asked(sandbox, github) == 0
    assert refusal(key, address, now=later(REFUSAL_KEPT)) is VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert asked(sandbox, github) > 0


def test_whoever_was_let_in_meanwhile_gets_the_lease_once_the_refusal_is_stale(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    held = hold(sandbox, alice, github, "octo-bob")
    address = f"{github.web_url}/assxxx/ABC"
    assert refusal(key, address) is VerdictCode.NOT_FOUND_OR_NO_ACCESS
    sandbox.control("github", "POST", "organizations/assxxx", {"members": {"octo-bob": "member"}})

    lent = borrow(key, address, now=later(REFUSAL_KEPT))

    assert lent.candidate.id == held.pk
    assert RepositoryAccess.objects.get(credential=held).verdict == VerdictCode.OK
    assert held.organizations.get().state == "no_membership"


def test_a_refusal_of_one_repository_says_nothing_of_another(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret
) -> None:
    held = hold(sandbox, alice, github)
    assert refusal(key, f"{github.web_url}/octo-bob/own-cases") is VerdictCode.NOT_FOUND_OR_NO_ACCESS

    assert borrow(key, f"{github.web_url}/octo-alice/private-cases").candidate.id == held.pk


# --- Whole segments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["acme-evil/cases", "acm/cases", "acme_evil/cases", "evil/acme"])
def test_an_organization_speaks_for_its_whole_name_only(
    sandbox: RunningSandbox, alice: User, github: Host, key: Secret, other: str
) -> None:
    held = hold(sandbox, alice, github)
    builders.access(held, "acme", state="accessible")

    assert refusal(key, f"{github.web_url}/{other}") is VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert asked(sandbox, github) > 0  # nothing spoke for it


@pytest.mark.parametrize(
    ("address", "slug", "because"),
    [
        ("http://127.0.0.1:9/git/acme/cases", "below", Reason.ORGANIZATION_MATCHES),
        ("http://127.0.0.1:9/GIT/Acme/Team/cases.git", "below", Reason.ORGANIZATION_MATCHES),
        ("http://127.0.0.1:9/git/deep/acme/cases", "deep", Reason.ORGANIZATION_MATCHES),
        ("http://127.0.0.1:9/git/deep/owner/cases", "deep", Reason.ACCOUNT_MATCHES),
    ],
)
def test_organizations_are_found_below_the_path_of_their_host(
    alice: User, key: Secret, address: str, slug: str, because: Reason
) -> None:
    for name, path in (("below", "git"), ("deep", "git/deep")):
        host = builders.host(name, provider="gitlab", web_url=f"http://127.0.0.1:9/{path}")
        builders.access(builders.credential(alice, host, token=f"glpat-{name}"), "acme", state="accessible")
        builders.credential(alice, host, token=f"glpat-{name}-owner", account_name="owner")

    lent = borrow(key, address)

    assert (lent.candidate.host_slug, lent.chosen_because) == (slug, because)


def test_the_path_of_a_host_is_no_organization_and_no_prefix_of_other_names(
    sandbox: RunningSandbox, alice: User, key: Secret
) -> None:
    azure = builders.sandbox_host(sandbox, "azure")
    origin = azure.web_url.removesuffix("/acme")
    made = sandbox.mint("azure", "octo-alice", "personal_token", ["vso.code"])
    held = builders.credential(alice, azure, token=made.token)

    lent = borrow(key, f"{origin}/ACME/cases/_git/cases")

    assert lent.candidate.id == held.pk
    for other in ("acme-evil/cases/_git/cases", "acm/cases/_git/cases", "cases/_git/cases"):
        assert refusal(key, f"{origin}/{other}") is VerdictCode.HOST_UNKNOWN

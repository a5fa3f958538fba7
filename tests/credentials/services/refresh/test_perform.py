"""One refresh: what is proved before it, what is kept after it, and what each answer means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from credentials.crypto.secret import Secret
from credentials.errors import AuditUnavailable, CryptoError
from credentials.models import AuditEvent, Credential, HostHealth, Process, Status
from credentials.providers.tokens import Kind
from credentials.services import audit, audit_proof, hosts, processes, vault
from credentials.services.circuit_breaker import FAILURES
from credentials.services.refresh import journal, perform
from credentials.services.refresh.claim import Outcome, Result
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply
from tests.credentials.services.refresh.grants import (
    CALLBACK,
    Rotating,
    gitlab_at,
    opened,
    pair,
    sandbox_pair,
)
from tests.credentials.services.stored import fresh
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

ALWAYS = timedelta(days=1)


@pytest.fixture
def credential(alice: User, provider: Rotating, server: Server) -> Credential:
    access, refresh = provider.first()
    return pair(alice, gitlab_at(server.url), token=access, refresh=refresh, ends=timedelta(minutes=1))


def refresh(credential: Credential, **options: Any) -> Result:
    return perform.refresh(
        credential.pk, **{"need": timedelta(minutes=30), "sleep": lambda seconds: None, **options}
    )


# --- A success ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["gitlab", "bitbucket", "gitea"])
def test_a_token_near_its_end_is_renewed_and_the_new_one_works(
    sandbox: RunningSandbox, alice: User, slug: str
) -> None:
    credential = sandbox_pair(sandbox, alice, builders.sandbox_host(sandbox, slug), ends=timedelta(0))
    old = opened(credential)

    assert refresh(credential).outcome is Outcome.REFRESHED

    row = fresh(credential)
    assert opened(row) != old
    assert (row.generation, row.status, row.refreshing_since) == (2, Status.VALID, None)
    assert row.expires_at is not None
    assert row.refresh_due_at is not None
    assert row.refresh_due_at < row.expires_at
    used = [call for call in sandbox.calls(slug) if call["method"] == "POST"]
    assert len(used) == 1


def test_a_github_apps_token_is_renewed_with_its_own_kind_of_refresh_token(
    sandbox: RunningSandbox, alice: User
) -> None:
    app = next(app for app in sandbox.hosts["github"].apps if app["kind"] == "app_user_token")
    host = builders.sandbox_host(sandbox, "github")
    hosts.add_host(
        actor=builders.SYSTEM,
        slug=host.slug,
        provider=host.provider,
        web_url=host.web_url,
        api_url=host.api_url,
        client_id=app["client_id"],
        client_secret=Secret(app["client_secret"]),
        allow_private_network=True,
    )
    credential = sandbox_pair(sandbox, alice, host, kind=Kind.APP_TOKEN, ends=timedelta(0))

    assert refresh(credential).outcome is Outcome.REFRESHED

    row = fresh(credential)
    assert opened(row).startswith("ghu_")
    assert opened(row, "refresh").startswith("ghr_")
    assert row.refresh_ends_at is not None


def test_the_request_carries_what_the_provider_wants(credential: Credential, server: Server) -> None:
    old = opened(credential, "refresh")
    refresh(credential)
    (seen,) = server.seen
    assert {name: values[0] for name, values in parse_qs(seen.body.decode()).items()} == {
        "grant_type": "refresh_token",
        "refresh_token": old,
        "redirect_uri": CALLBACK,
        "client_id": "client-1",
        "client_secret": "the-client-secret",
    }


def test_a_provider_that_does_not_rotate_leaves_the_old_refresh_token(
    credential: Credential, provider: Rotating
) -> None:
    old = opened(credential, "refresh")
    provider.before = lambda number: json_reply({"access_token": "at-new", "expires_in": 7200})

    assert refresh(credential).outcome is Outcome.REFRESHED
    assert opened(fresh(credential), "refresh") == old
    assert opened(fresh(credential)) == "at-new"


def test_the_trail_says_when_it_began_and_what_the_row_holds_now(credential: Credential) -> None:
    refresh(credential)
    actions = list(
        AuditEvent.objects.filter(subject_id=str(credential.pk))
        .order_by("seq")
        .values_list("action", flat=True)
    )
    assert actions[-2:] == ["credential.refreshing", "credential.refreshed"]
    audit_proof.verify()


def test_the_end_is_counted_from_before_the_call(credential: Credential, provider: Rotating) -> None:
    clock = Clock()

    def slow(number: int) -> None:
        clock.step(seconds=20)

    provider.before = slow
    begun = clock()
    refresh(credential, now=clock)
    assert fresh(credential).expires_at == begun + timedelta(seconds=7200)


def test_a_token_that_lives_long_enough_is_left_alone(credential: Credential, server: Server) -> None:
    Credential.objects.filter(pk=credential.pk).update(
        expires_at=credential.sealed_at + timedelta(hours=3)  # type: ignore[operator]  # it was sealed
    )
    assert refresh(credential).outcome is Outcome.NOT_NEEDED
    assert server.seen == []


# --- Before the call ----------------------------------------------------------------------------------


def test_nothing_is_asked_where_the_ring_does_not_seal(
    credential: Credential, server: Server, settings: Any, tmp_path: Any
) -> None:
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'gone'}"
    vault.forget()
    with pytest.raises(CryptoError):
        refresh(credential)
    assert server.seen == []
    assert fresh(credential).refreshing_since is None


def test_nothing_is_asked_where_the_journal_cannot_be_written(
    credential: Credential, server: Server, tmp_path: Any
) -> None:
    (tmp_path / "refresh-journal").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="refresh-journal"):
        refresh(credential)
    assert server.seen == []
    assert fresh(credential).refreshing_since is None


@pytest.mark.django_db(transaction=True)
def test_while_the_provider_is_asked_the_row_says_so_and_the_journal_has_room(
    credential: Credential, provider: Rotating
) -> None:
    seen: list[Any] = []

    def look(number: int) -> None:
        row = Credential.objects.get(pk=credential.pk)
        files = [(path.suffix, path.stat().st_mode & 0o777) for path in journal.folder().iterdir()]
        seen.append((row.refreshing_since is not None, bool(row.refreshing_by), files))
        connection.close()

    provider.before = look
    refresh(credential)
    assert seen == [(True, True, [(".open", 0o600)])]
    assert list(journal.folder().iterdir()) == []


# --- What an answer means -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        html_reply(200),
        html_reply(502),
        Reply(status=503),
        json_reply({"error": "temporarily_unavailable"}, 400),
        json_reply({"error": "invalid_client"}, 401),
        json_reply({"error": "unauthorized_client"}, 400),
        json_reply({"error": "incorrect_client_credentials"}),
        json_reply({"error": "slow_down"}, 429),
        json_reply({"error": "invalid_request"}, 400),
        json_reply(["a", "list"]),
        json_reply({"token_type": "bearer"}),
        Reply(status=302, headers={"Location": "/sign-in"}),
    ],
)
def test_an_answer_that_says_nothing_of_the_grant_changes_nothing_and_is_tried_again(
    credential: Credential, provider: Rotating, reply: Reply
) -> None:
    before = opened(credential), opened(credential, "refresh")
    clock = Clock()
    provider.before = lambda number: reply

    result = refresh(credential, now=clock)

    row = fresh(credential)
    assert result.outcome is Outcome.FAILED
    assert (row.status, row.generation, row.refreshing_since) == (Status.VALID, 1, None)
    assert (opened(row), opened(row, "refresh")) == before
    assert refresh(credential, now=clock).outcome is Outcome.WAITING

    provider.before = lambda number: None
    clock.step(minutes=15)
    assert refresh(credential, now=clock).outcome is Outcome.REFRESHED
    assert fresh(credential).refresh_failures == 0


@pytest.mark.parametrize(
    ("slug", "reply"),
    [
        ("gitlab", json_reply({"error": "invalid_grant"}, 400)),
        ("github", json_reply({"error": "bad_refresh_token"})),
        ("bitbucket", json_reply({"error": "invalid_grant"}, 401)),
        (
            "gitea",
            json_reply({"error": "unauthorized_client", "error_description": "token was already used"}, 400),
        ),
    ],
)
def test_a_refusal_of_the_grant_is_asked_for_twice_and_then_a_person_has_to_connect_again(
    alice: User, slug: str, reply: Reply
) -> None:
    pauses: list[float] = []
    with Server(lambda seen: reply) as server:
        host = builders.host(
            slug,
            web_url=server.url,
            api_url=f"{server.url}/api",
            client_id="c",
            client_secret=Secret("s"),
        )
        credential = pair(alice, host, token="at-1", refresh="rt-1", ends=timedelta(0))
        result = refresh(credential, sleep=pauses.append)

    row = fresh(credential)
    assert result.outcome is Outcome.REFUSED
    assert (row.status, row.refreshing_since, row.refresh_due_at) == (Status.RECONNECT_REQUIRED, None, None)
    assert (opened(row), opened(row, "refresh")) == ("at-1", "rt-1")
    assert (len(server.seen), pauses) == (2, [1.0])


def test_a_client_that_the_host_refuses_is_the_operators_to_mend_and_told_once(
    credential: Credential, provider: Rotating
) -> None:
    clock = Clock()
    provider.before = lambda number: json_reply({"error": "invalid_client"}, 401)
    for _again in range(3):
        refresh(credential, now=clock)
        clock.step(minutes=16)
    assert fresh(credential).host.client_refused_since is not None
    assert AuditEvent.objects.filter(action="host.client_refused").count() == 1

    provider.before = lambda number: None
    refresh(credential, now=clock)
    assert fresh(credential).host.client_refused_since is None
    assert AuditEvent.objects.filter(action="host.client_accepted").count() == 1


def test_when_a_host_refuses_many_grants_at_once_it_is_not_believed(
    alice: User, provider: Rotating, server: Server
) -> None:
    host = gitlab_at(server.url)
    provider.before = lambda number: json_reply({"error": "invalid_grant"}, 400)
    for number in range(perform.MANY + 3):
        refresh(pair(alice, host, token=f"at-{number}", refresh=f"rt-{number}", ends=timedelta(0)))

    marked = Credential.objects.filter(status=Status.RECONNECT_REQUIRED).count()
    assert marked == perform.MANY
    assert Credential.objects.filter(status=Status.VALID, refresh_failures=1).count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_pair_that_the_database_does_not_take_waits_in_the_journal(
    credential: Credential, provider: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*args: Any, **kwargs: Any) -> Outcome:
        raise OperationalError("gone")

    monkeypatch.setattr(perform, "store", unavailable)
    pauses: list[float] = []

    assert refresh(credential, sleep=pauses.append).outcome is Outcome.FAILED

    assert pauses == [0.2, 1.0, 3.0]
    ((_entry, waiting),) = journal.entries()
    assert waiting.generation == 2
    assert fresh(credential).refreshing_since is not None
    lying = b"".join(path.read_bytes() for path in journal.folder().iterdir())
    (access,) = provider.live
    assert access.encode() not in lying
    assert provider.live[access].encode() not in lying


def test_the_event_of_the_claim_is_durable_before_the_refresh_token_is_opened(
    credential: Credential, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise AuditUnavailable("full")

    monkeypatch.setattr(audit, "append", refused)
    with pytest.raises(AuditUnavailable):
        refresh(credential)
    assert server.seen == []
    assert fresh(credential).refreshing_since is None
    assert list(journal.folder().iterdir()) == []


def test_a_process_shows_itself_before_it_claims(credential: Credential, provider: Rotating) -> None:
    refresh(credential)
    assert Process.objects.filter(pk=processes.identity()).exists()


def test_a_question_that_the_breaker_kept_in_makes_no_pause_longer(
    credential: Credential, provider: Rotating
) -> None:
    clock = Clock()
    provider.before = lambda number: Reply(status=503)
    refresh(credential, now=clock)
    assert fresh(credential).refresh_failures == 1
    HostHealth.objects.update(failures=FAILURES, retry_at=clock() + timedelta(hours=1))
    for _again in range(3):
        clock.step(minutes=16)
        refresh(credential, now=clock)
    assert fresh(credential).refresh_failures == 1
    assert provider.calls == 1

"""Every fault of a host, whatever is known of a credential, whoever asks: what was known stands.

Not one of these answers is a word about a token, an organization or a repository.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.conf import Configuration
from credentials.errors import Conflict, CryptoError
from credentials.models import AccessState, Credential, Host, HostHealth, Notice, RepositoryAccess, Status
from credentials.models.credential import LENDABLE
from credentials.services import diagnose, organizations, verify
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Script, Seen, Server
from tests.credentials.services.stored import fresh, host_at, known
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "f" * 36
ELSEWHERE = "https://sign-in.example/"
ERROR = '{"error": "invalid_grant", "error_description": "The token was revoked."}'

# --- The faults: those that the sandbox can make, and those of a network ------------------------------------

AT_THE_SANDBOX: Mapping[str, Mapping[str, object]] = {
    "cut in the body": {"cut": True},
    "500": {"status": 500, "body": '{"message": "Bad credentials"}'},
    "502": {"status": 502, "html": True},
    "503 with Retry-After": {"status": 503, "body": "{}", "headers": {"Retry-After": "30"}},
    "429 with Retry-After": {"status": 429, "body": "{}", "headers": {"Retry-After": "30"}},
    "429": {"status": 429, "body": '{"message": "Bad credentials"}'},
    "primary quota": {"quota": "primary"},
    "secondary quota": {"quota": "secondary"},
    "200 page": {"html": True},
    "404 page": {"html": True, "status": 404},
    "401 page": {"html": True, "status": 401},
    "200 empty": {"status": 200},
    "200 with an error": {"status": 200, "body": ERROR},
    "200 of the wrong type": {"status": 200, "body": '"octo-alice"'},
    "302": {"status": 302, "headers": {"Location": ELSEWHERE}},
}


def _cut_in_the_headers(seen: Seen) -> Iterable[bytes]:
    return [b"HTTP/1.1 401 Unauthorized\r\nContent-Ty"]


def _drip(seen: Seen) -> Iterable[bytes]:
    yield b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(200):
        time.sleep(0.05)
        yield b" "


OF_A_SERVER: Mapping[str, Script] = {"cut in the headers": _cut_in_the_headers, "slow drip": _drip}
OF_A_NETWORK = ("refused", "no such name", "forbidden network")
FAULTS = (*AT_THE_SANDBOX, *OF_A_SERVER, *OF_A_NETWORK)


@contextmanager
def faulty(fault: str, sandbox: RunningSandbox) -> Iterator[tuple[Host, Callable[[], int | None]]]:
    """A GitHub with the fault, and how many requests reached it; None where nothing could."""
    if fault in AT_THE_SANDBOX:
        host = builders.sandbox_host(sandbox, "github")
        sandbox.control("github", "POST", "faults", AT_THE_SANDBOX[fault])
        yield host, lambda: len(sandbox.calls("github"))
    elif fault in OF_A_SERVER:
        with Server(OF_A_SERVER[fault]) as server:
            yield host_at(server.url), lambda: len(server.seen)
    elif fault == "refused":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            yield host_at(f"http://127.0.0.1:{closed.getsockname()[1]}"), lambda: None
    elif fault == "no such name":
        yield host_at("http://no-such-host.invalid"), lambda: None
    else:
        with Server(lambda seen: Reply()) as server:
            host = host_at(server.url)
            Host.objects.update(allow_private_network=False)
            yield Host.objects.get(pk=host.pk), lambda: len(server.seen) or None


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter than the settings allow, so that a slow answer is too slow soon."""
    monkeypatch.setattr(Configuration, "read_timeout", property(lambda self: timedelta(seconds=0.3)))


# --- Who asks -----------------------------------------------------------------------------------------------


def _verify(credential: Credential, clock: Clock) -> VerdictCode | None:
    with suppress(
        CryptoError, Conflict
    ):  # a disconnected one has nothing to show, a quarantined one is left alone
        return verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", now=clock).code
    return None


def _diagnose(credential: Credential, clock: Clock) -> VerdictCode | None:
    address = f"{credential.host.web_url}/acme/cases"
    return diagnose.diagnose(
        actor=builders.SYSTEM, user=credential.owner, repository_url=address, now=clock
    ).verdict.code


def _refresh(credential: Credential, clock: Clock) -> None:
    organizations.refresh(actor=builders.SYSTEM, credential=credential, now=clock)


def _check_due(credential: Credential, clock: Clock) -> None:
    organizations.check_due(actor=builders.SYSTEM, now=clock)


OPERATIONS: Mapping[str, Callable[[Credential, Clock], VerdictCode | None]] = {
    "verify": _verify,
    "diagnose": _diagnose,
    "refresh": _refresh,
    "check_due": _check_due,
}
NOT_KNOWN = {VerdictCode.HOST_UNREACHABLE, VerdictCode.RATE_LIMITED, VerdictCode.UNKNOWN}


def as_stored(owner: User, host: Host, status: Status, clock: Clock, *, token: str = TOKEN) -> Credential:
    """A credential of which a good deal is known."""
    credential = builders.credential(
        owner,
        host,
        token=token,
        account_id="1",
        account_name="octo-alice",
        scopes=["repo"],
        missing_scopes=["read:org"] if status is Status.LIMITED else [],
    )
    for key, state in (
        ("acme", AccessState.ACCESSIBLE),
        ("assxxx", AccessState.REQUESTED),
        ("sso-corp", AccessState.SSO_REQUIRED),
    ):
        builders.access(credential, key, state=state, evidence="before", next_check_at=clock())
    RepositoryAccess.objects.create(
        credential=credential, key="acme/cases", verdict="ok", checked_at=clock() - timedelta(days=1)
    )
    change: dict[str, Any] = {"status": status, "status_detail": "as before"}
    if status is Status.DISCONNECTED:
        change |= {"access_envelope": None, "fingerprint": None}
    Credential.objects.filter(pk=credential.pk).update(**change)
    return fresh(credential)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_known_stands(sandbox: RunningSandbox, alice: User, fault: str, operation: str) -> None:
    clock = Clock()
    with faulty(fault, sandbox) as (host, reached):
        for status in Status:
            Credential.objects.all().delete()
            HostHealth.objects.all().delete()
            credential = as_stored(alice, host, status, clock)
            before, count = known(credential), reached()
            code = OPERATIONS[operation](credential, clock)
            assert known(credential) == before, status
            if status in LENDABLE:
                assert code in {*NOT_KNOWN, None}
                assert reached() is None or reached() != count, "the fault was not even met"
    assert not Notice.objects.exists()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", LENDABLE)
def test_the_comparison_sees_a_token_that_really_died(
    sandbox: RunningSandbox, alice: User, status: Status, operation: str
) -> None:
    clock = Clock()
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    credential = as_stored(alice, builders.sandbox_host(sandbox, "github"), status, clock, token=minted.token)
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    OPERATIONS[operation](credential, clock)
    assert known(credential)["status"] == Status.REJECTED


@pytest.mark.parametrize("operation", ["refresh", "check_due"])
def test_the_comparison_sees_organizations_that_really_answer(
    sandbox: RunningSandbox, alice: User, operation: str
) -> None:
    clock = Clock()
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
    credential = as_stored(
        alice, builders.sandbox_host(sandbox, "github"), Status.VALID, clock, token=minted.token
    )
    before = known(credential)
    OPERATIONS[operation](credential, clock)
    assert known(credential)["organizations"] != before["organizations"]

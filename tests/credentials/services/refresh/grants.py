"""Credentials with a refresh token: at the sandbox, and at a provider that counts what is alive; and what
tests of their refresh share."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Lease, ServiceClient
from credentials.providers.tokens import Kind
from credentials.services import processes, vault
from credentials.services.processes import Kind as ProcessKind
from credentials.services.refresh import loop, schedule
from tests import builders
from tests.credentials.providers.loopback import Reply, Seen, json_reply
from tests.sandbox import RunningSandbox

CALLBACK = "http://testserver/connect/gitlab/callback/"
SCOPES = {
    "gitlab": ("read_repository", "read_user"),
    "bitbucket": ("repository", "account"),
    "gitea": ("read:user", "read:repository", "read:organization"),
    "github": ("repo",),
}
LIFE = timedelta(hours=2)


def sandbox_pair(
    sandbox: RunningSandbox, owner: User, host: Host, *, kind: Kind = Kind.OAUTH, ends: timedelta = LIFE
) -> Credential:
    """A pair that the emulated host has made for its app."""
    name = "app_user_token" if kind is Kind.APP_TOKEN else "oauth"
    minted = sandbox.mint(host.slug, "octo-alice", name, SCOPES[host.slug])
    assert minted.refresh_token is not None
    return pair(owner, host, token=minted.token, refresh=minted.refresh_token, kind=kind, ends=ends)


def pair(
    owner: User,
    host: Host,
    *,
    token: str,
    refresh: str,
    kind: Kind = Kind.OAUTH,
    ends: timedelta = LIFE,
    now: Callable[[], datetime] = timezone.now,
) -> Credential:
    """A credential with a pair of tokens, of which the access token lives for ``ends``."""
    made = builders.credential(
        owner,
        host,
        token=token,
        refresh=refresh,
        kind=kind,
        expires_at=now() + ends,
        account_id="1",
        account_name="octo-alice",
        oauth_redirect_uri=CALLBACK,
    )
    sealed = now() + ends - LIFE
    due = schedule.due_at(received_at=sealed, expires_at=made.expires_at)
    Credential.objects.filter(pk=made.pk).update(refresh_due_at=due, sealed_at=sealed)
    return Credential.objects.select_related("host", "owner").get(pk=made.pk)


def gitlab_at(url: str) -> Host:
    """A GitLab that an in-test server plays, with an OAuth app."""
    return builders.host(
        "gitlab",
        web_url=url,
        api_url=f"{url}/api/v4",
        client_id="client-1",
        client_secret=Secret("the-client-secret"),
    )


class Rotating:
    """The token endpoint of a provider that spends a refresh token on use, and ends the family of one used twice.

    ``before`` is called with the number of each call before anything is done, ``after`` before it is answered.
    """

    def __init__(self, *, seconds: int = 7200) -> None:
        self.seconds = seconds
        self.refreshed = 0
        self.reused = 0
        self.live: dict[str, str] = {}
        self._spent: set[str] = set()
        self._lock = threading.Lock()
        self.before: Callable[[int], Reply | None] = lambda number: None
        self.after: Callable[[int], Reply | None] = lambda number: None
        self.calls = 0

    def first(self) -> tuple[str, str]:
        """A pair as the code flow would have brought it: access token and refresh token."""
        with self._lock:
            return self._make()

    def _make(self) -> tuple[str, str]:
        access, refresh = f"at-{secrets.token_hex(20)}", f"rt-{secrets.token_hex(20)}"
        self.live = {access: refresh}
        return access, refresh

    def __call__(self, seen: Seen) -> Reply:
        sent = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        with self._lock:
            self.calls += 1
            number = self.calls
        early = self.before(number)
        if early is not None:
            return early
        if seen.path.endswith("/oauth/revoke"):
            return self._revoke(sent["token"])
        reply = self._refresh(sent.get("refresh_token", ""))
        return self.after(number) or reply

    def _revoke(self, token: str) -> Reply:
        with self._lock:
            self.live = {a: r for a, r in self.live.items() if token not in {a, r}}
        return json_reply({})

    def _refresh(self, refresh: str) -> Reply:
        with self._lock:
            if refresh in self._spent:
                self.reused += 1
                self.live = {}
            if refresh not in self.live.values():
                return json_reply({"error": "invalid_grant", "error_description": "revoked"}, 400)
            self._spent.add(refresh)
            self.refreshed += 1
            access, new = self._make()
            return json_reply(
                {
                    "access_token": access,
                    "refresh_token": new,
                    "token_type": "Bearer",
                    "expires_in": self.seconds,
                    "scope": "read_repository read_user",
                }
            )


def opened(credential: Credential, field: Any = "access") -> str:
    blob = credential.access_envelope if field == "access" else credential.refresh_envelope
    assert blob is not None
    return vault.unseal_after_audit(bytes(blob), credential.binding(field)).reveal()


def lease_of(
    credential: Credential, client: ServiceClient, *, minutes: float = 3, commit: bool = True
) -> Lease:
    now = timezone.now()
    lease = Lease(
        client=client,
        credential=credential,
        purpose="import",
        chosen_because="only_one",
        created_at=now,
        expires_at=now + timedelta(hours=1),
        reserved_until=now + timedelta(minutes=minutes),
    )
    if commit:
        lease.save(force_insert=True)
    return lease


def claimed_by(credential: Credential, identity: str) -> None:
    Credential.objects.filter(pk=credential.pk).update(
        refreshing_since=credential.created_at, refreshing_by=f"{identity}#0123456789abcdef"
    )


def of_a_dead_process() -> str:
    """The identity of a process of this machine that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    place, _pid, started = processes.identity().split(":")
    return f"{place}:{pid}:{started}"


@contextmanager
def refresher() -> Iterator[None]:
    """A refresher in a thread of this process: those of processes of their own are in tests/test_killed_refresh.py."""
    stop = threading.Event()

    def work() -> None:
        with processes.beating(ProcessKind.REFRESHER, clock=timezone.now):
            ready.set()
            loop.run(stop)
        connection.close()

    ready = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(20)
    try:
        yield
    finally:
        stop.set()
        thread.join(30)

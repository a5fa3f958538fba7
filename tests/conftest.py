"""Fixtures every test may use: people, hosts, the key ring, and a network that ends at loopback."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase
from django.utils import translation

from credentials.crypto.sources import create_key_file
from credentials.models import AuditHead
from credentials.models.append_only import FIRST_LINK, create_guards, drop_guards
from credentials.services import vault
from tests import builders
from tests.sandbox import RunningSandbox, start_sandbox

_empty_tables = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # Django's own hook


def _empty_tables_despite_the_guards(self: TransactionTestCase) -> None:
    """The audit trail refuses to be emptied, which is right everywhere but between two tests."""
    with connection.schema_editor() as editor:
        drop_guards(editor)
    try:
        _empty_tables(self)
    finally:
        AuditHead.objects.get_or_create(id=1, defaults={"seq": 0, "link": FIRST_LINK})
        with connection.schema_editor() as editor:
            create_guards(editor)


TransactionTestCase._fixture_teardown = _empty_tables_despite_the_guards  # type: ignore[attr-defined]  # as above


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the outside fails at once."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            assert ipaddress.ip_address(address[0]).is_loopback, f"a test reached for {address[0]}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """No test inherits what another one spent of the sign-in limits."""
    cache.clear()


@pytest.fixture(autouse=True)
def fresh_language() -> None:
    """No test inherits the language of the last page another one asked for: Django leaves it to the thread."""
    translation.deactivate()


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file with one key, as an operator would have it."""
    path = tmp_path_factory.mktemp("keys") / "key-ring"
    create_key_file(path)
    return path


@pytest.fixture(autouse=True)
def key_ring(settings: Any, key_file: Path, tmp_path: Path) -> Iterator[None]:
    """Every test starts with a process that has read no key yet."""
    settings.CREDENTIALS_KEY_SOURCE = f"file:{key_file}"
    settings.CREDENTIALS_DATA_DIR = tmp_path
    vault.forget()
    yield
    vault.forget()


@pytest.fixture
def own_key_file(settings: Any, tmp_path: Path) -> Path:
    """A key file of this test's own, in use, which it may change."""
    path = tmp_path / "key-ring-of-this-test"
    create_key_file(path)
    settings.CREDENTIALS_KEY_SOURCE = f"file:{path}"
    vault.forget()
    return path


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """The sandbox, one process for the whole run."""
    running = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(sandbox_process: RunningSandbox) -> RunningSandbox:
    """The sandbox as new: no tokens, no faults, every switch back."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def alice(db: None) -> User:
    """Owns credentials."""
    return builders.user("alice")


@pytest.fixture
def bob(db: None) -> User:
    """Has an account of his own, and may do with it what alice may do with hers."""
    return builders.user("bob")


@pytest.fixture
def charlie(db: None) -> User:
    """May do nothing with alice's things."""
    return builders.user("charlie")


@pytest.fixture
def admin(db: None) -> User:
    """A superuser, who sees everything but a secret."""
    return builders.user("admin", is_staff=True, is_superuser=True)

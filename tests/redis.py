"""A real Redis for tests: a database of it, and a prefix of this run's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

ADDRESS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/5")


@contextmanager
def own_part_of_redis() -> Iterator[tuple[Any, str]]:
    """A client, and the prefix of names that are this run's; gone afterwards.

    Where no Redis answers, the test is left out, or fails under FORGEKEY_REQUIRE_ALL.
    """
    client = redis.Redis.from_url(ADDRESS, socket_connect_timeout=2)
    try:
        client.ping()
    except redis.ConnectionError:
        reason = "celery: no Redis answers at REDIS_URL"
        if os.environ.get("FORGEKEY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    prefix = f"forgekey-tests-{os.getpid()}"
    try:
        yield client, prefix
    finally:
        for name in client.scan_iter(f"{prefix}:*"):
            client.delete(name)
        client.close()

"""Every test starts with nobody having tried to sign in before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_earlier_attempts() -> Iterator[None]:
    """Sign-ins are counted in the cache, across tests."""
    cache.clear()
    yield
    cache.clear()

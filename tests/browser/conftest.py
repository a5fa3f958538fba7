"""The browser for the tests of this folder."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from tests.browser.chromium import chromium

__all__ = ["chromium"]


@pytest.fixture(autouse=True)
def plain_http(settings: Any) -> None:
    """The test server speaks plain HTTP."""
    cache.clear()
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False

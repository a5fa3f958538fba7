"""A desk: a superuser's browser, and rows of everything on it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.browser.chromium import chromium
from tests.credentials.admin.desk import Stock, browser, stock

__all__ = ["chromium"]


@pytest.fixture
def desk(admin: User) -> Client:
    """A browser in which a superuser is signed in."""
    return browser(admin)


@pytest.fixture
def stocked(alice: User) -> Stock:
    """Ten of alice's credentials and everything around them, each secret a canary."""
    return stock(alice)


@pytest.fixture
def few(alice: User) -> Stock:
    """As ``stocked``, with two credentials."""
    return stock(alice, count=2)

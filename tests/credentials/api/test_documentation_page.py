"""The readable page, in a browser: it draws the description under its own policy, without a complaint."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import builders
from tests.browser.chromium import browsing, chromium, sign_in

__all__ = ["chromium"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_staff_read_the_description_and_nothing_is_blocked(chromium: Browser, live_server: Any) -> None:
    builders.user("stella", is_staff=True)

    with browsing(chromium, live_server.url) as seen:
        sign_in(seen.page, "stella")
        seen.page.goto("/api/docs/")
        seen.page.get_by_text("Borrow a credential for one repository", exact=True).wait_for()
        seen.page.get_by_text("/api/v1/leases/", exact=False).first.wait_for()

    assert seen.complaints == []
    assert seen.strangers == []

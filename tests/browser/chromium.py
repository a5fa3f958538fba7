"""Debian's Chromium for tests: found in the path, or the group is left out and says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = 360
DESK = 1280
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium. Where there is none, the test is left out, or fails under FORGEKEY_REQUIRE_ALL."""
    program = shutil.which("chromium")
    if program is None:
        reason = "browser: Chromium is not installed"
        if os.environ.get("FORGEKEY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs an event loop in this thread, in which Django refuses to touch its database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = _launch(playwright, program)
        yield browser
        browser.close()


def _launch(playwright: Playwright, program: str) -> Browser:
    return playwright.chromium.launch(executable_path=program, args=list(FLAGS))


@dataclass(kw_only=True)
class Watched:
    """A page, with everything it complained about and everything it asked others for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """What axe finds wrong, each with the elements concerned."""
        # Axe would load style sheets once more into style elements of its own, which the policy forbids.
        found: dict[str, Any] = Axe().run(self.page, options={"preload": False}).response
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]

    def faults(self) -> list[str]:
        """Everything wrong with the page as it stands; then nothing of it counts again."""
        wide = [f"{self.overflow()} pixels too wide"] if self.overflow() > 0 else []
        found = [*self.complaints, *self.strangers, *wide, *self.violations()]
        self.complaints.clear()
        self.strangers.clear()
        return [f"{self.page.url}: {fault}" for fault in found]

    def unfold(self) -> None:
        """Open everything that opens, so that it is looked at, too."""
        self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")

    def picture(self, name: str) -> None:
        """Keep how the page looks, where ``FORGEKEY_PICTURES`` names a folder: the documentation's come so."""
        if folder := os.environ.get("FORGEKEY_PICTURES"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True, caret="initial")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        width: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width


@contextmanager
def browsing(
    browser: Browser,
    base_url: str,
    *,
    width: int = DESK,
    scheme: Scheme = "light",
    javascript: bool = True,
    state: Any = None,
) -> Iterator[Watched]:
    """A fresh window of ``width`` pixels. ``state`` are the cookies of an earlier one."""
    context: BrowserContext = browser.new_context(
        base_url=base_url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=javascript,
        storage_state=state,
    )
    context.set_default_timeout(15_000)
    watched = Watched(page=context.new_page())

    def ask(request: Request) -> None:
        if not request.url.startswith((base_url, "data:")):
            watched.strangers.append(request.url)

    watched.page.on("console", lambda said: _note(watched, said.type, said.text))
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.page.on("request", ask)
    try:
        yield watched
    finally:
        context.close()


def _note(watched: Watched, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        watched.complaints.append(text)


def sign_in(page: Page, name: str) -> None:
    """Through the sign-in page, as a person does it."""
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(f"{name}-demo")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("/")

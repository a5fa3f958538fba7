"""Bringing a library in a real browser, with a real worker: by Git, by ZIP, and what is said where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from credentials.models import Host, Import, Library, Snapshot
from credentials.sources.content import Remarked
from credentials.verdicts.refusals import Remark
from tests import builders, storages
from tests.browser.chromium import DESK, PHONE, Scheme, Watched, browsing, sign_in
from tests.credentials.management.commands.test_worker import worker
from tests.credentials.services.imports.asked import by_zip, packed, ran
from tests.credentials.web.account import by_oauth
from tests.sandbox import RunningSandbox

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS: tuple[tuple[int, Scheme], ...] = ((DESK, "light"), (PHONE, "dark"))
FILES = {f"cases-main/cases/{number:02}.yaml": b"id: x\n" for number in range(30)}
# How a file falls onto the page.
DROP = """([name, data]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
  for (const kind of ["dragover", "drop"]) {
    document.querySelector("[data-upload] .drop").dispatchEvent(
      new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }
}"""


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


@pytest.fixture
def working(tmp_path: Path, key_file: Path) -> Iterator[None]:
    """A worker beside the pages."""
    with worker(tmp_path, key_file, "--no-refresher"):
        yield


@pytest.fixture
def github(sandbox: RunningSandbox) -> Host:
    return builders.sandbox_host(sandbox, "github")


@pytest.fixture
def window(chromium: Browser, live_server: Any, alice: User) -> Iterator[Watched]:
    """alice, signed in. No page of ours may have a fault."""
    with browsing(chromium, live_server.url) as watched:
        sign_in(watched.page, "alice")
        yield watched
        assert watched.faults() == []


def name_repository(page: Page, address: str) -> None:
    page.goto(reverse("libraries"))
    page.get_by_role("link", name="Import a library").click()
    page.get_by_label("Address of the repository").fill(address)
    page.get_by_role("button", name="Continue").click()


def test_a_repository_becomes_a_library_whose_files_can_be_looked_at(
    window: Watched, github: Host, alice: User, sandbox: RunningSandbox, working: None
) -> None:
    by_oauth(alice, sandbox)
    page = window.page
    name_repository(page, f"{github.web_url}/acme/cases")
    page.get_by_label("Branch, tag or commit").fill("dev")
    page.get_by_label("Library").fill("Use cases")
    assert window.faults() == []
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=30_000)
    expect(page.locator("#said")).to_have_text("done")
    assert window.faults() == []
    page.get_by_role("link", name="Look at the files").click()
    page.get_by_role("link", name="guides/").click()
    expect(page.locator(".tree")).to_contain_text(".md")
    page.get_by_role("link", name="Use cases").first.click()
    expect(page.locator("main")).to_contain_text("dev")


def test_a_file_that_falls_onto_the_page_is_imported_and_a_bad_one_says_what_is_wrong(
    window: Watched, working: None
) -> None:
    import base64  # noqa: PLC0415  # only here

    page = window.page
    for name, files in (("cases.zip", FILES), ("bad.zip", {"../evil": b"x"})):
        page.goto(reverse("import_start") + "?source=zip")
        page.evaluate(DROP, [name, base64.b64encode(packed(files).read()).decode()])
        page.get_by_label("Library").fill("Dropped")
        page.get_by_role("button", name="Upload and import").click()
        page.wait_for_url("**/imports/**")
        if name == "cases.zip":
            expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=30_000)
            expect(page.locator("main")).to_contain_text("30 files")
            assert window.faults() == []
    expect(page.get_by_role("heading", name="cannot be imported as it is")).to_be_visible(timeout=30_000)
    expect(page.locator("main")).to_contain_text("../evil")
    expect(page.get_by_role("link", name="Upload another file")).to_be_visible()


def test_a_file_that_is_too_large_is_not_even_sent(window: Watched, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 1024
    page = window.page
    page.goto(reverse("import_start"))
    page.get_by_label("ZIP file", exact=True).set_input_files(
        {"name": "a.zip", "mimeType": "application/zip", "buffer": b"x" * 2048}
    )
    page.get_by_label("Library").fill("Large")
    page.get_by_role("button", name="Upload and import").click()
    expect(page.locator("[data-progress]")).to_contain_text("larger than an upload may be")
    assert not Import.objects.exists()


def test_an_organization_in_the_way_is_explained_and_a_zip_is_offered(
    window: Watched, github: Host, alice: User, sandbox: RunningSandbox
) -> None:
    by_oauth(alice, sandbox)
    page = window.page
    name_repository(page, f"{github.web_url}/assxxx/ABC")
    expect(page.get_by_role("heading", name="assxxx has not approved this app")).to_be_visible()
    assert window.faults() == []
    page.get_by_role("link", name="Import a ZIP file").click()
    expect(page.get_by_role("button", name="Upload and import")).to_have_class("button primary")


def test_everything_works_without_javascript(
    chromium: Browser, live_server: Any, github: Host, alice: User, tmp_path: Path, working: None
) -> None:
    with browsing(chromium, live_server.url, javascript=False) as watched:
        page = watched.page
        sign_in(page, "alice")
        name_repository(page, f"{github.web_url}/acme/public-cases")
        page.get_by_role("button", name="Import", exact=True).click()
        # The page comes again by itself.
        expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=30_000)
        page.goto(reverse("import_start"))
        page.get_by_label("ZIP file", exact=True).set_input_files(
            {"name": "a.zip", "mimeType": "application/zip", "buffer": packed(FILES).read()}
        )
        page.get_by_label("Library").fill("Uploaded")
        page.get_by_role("button", name="Upload and import").click()
        expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=30_000)
        page.get_by_role("link", name="All versions").click()
        expect(page.get_by_role("heading", name="Uploaded")).to_be_visible()
    assert Library.objects.count() == 2


def every_state(alice: User, tmp_path: Path) -> list[str]:
    """The addresses of pages in every state that looks different."""
    library, now = storages.library(alice, "Use cases with a rather long name for a library"), timezone.now()
    remarks = tuple(Remarked(path=f"links/{n}", remark=Remark.SYMLINK) for n in range(60))
    for number in range(2):
        long = {f"{'deep/' * 6}a-file-with-a-long-name-{n}.md": str(n + number) for n in range(3)}
        made = storages.snapshot(library, tmp_path, {**long, f"new-{number}": "x"}, remarks=remarks)
    Import.objects.create(
        library=library, source="zip", state="succeeded", snapshot=made, actor_kind="user",
        created_at=now, queued_at=now, ended_at=now, file_name="cases.zip",
    )  # fmt: skip
    queued, failed = by_zip(alice, library="Waiting"), ran(by_zip(alice, {"../e": b"x"}, "Refused"))
    running = by_zip(alice, library="Running")
    Import.objects.filter(pk=running.pk).update(
        state="running", stage="reading", started_at=now, progress_unit="bytes",
        progress_done=10_000_000, progress_total=50_000_000, files_done=300, files_total=5_000,
    )  # fmt: skip
    jobs = [Import.objects.get(state="succeeded"), queued, failed, running]
    one = Snapshot.objects.first()
    assert one is not None
    return [
        *(reverse("import", args=[job.pk]) for job in jobs),
        reverse("import_start"),
        reverse("libraries"),
        reverse("library", args=[library.pk]),
        reverse("snapshot", args=[library.pk, one.number]),
        reverse("snapshot", args=[library.pk, one.number]) + "?folder=deep/deep",
        reverse("library_compare", args=[library.pk]),
        reverse("library_remove", args=[library.pk]),
        reverse("help_imports"),
    ]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_no_page_has_a_fault_in_any_state(
    width: int, scheme: Scheme, chromium: Browser, live_server: Any, alice: User, tmp_path: Path
) -> None:
    pages = every_state(alice, tmp_path)
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as watched:
        sign_in(watched.page, "alice")
        for address in pages:
            watched.page.goto(address)
            watched.unfold()
            assert watched.faults() == []
            assert watched.page.locator("main .button.primary, main .button.danger").count() <= 1, address

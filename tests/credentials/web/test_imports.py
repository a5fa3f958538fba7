"""The pages that bring a library: what they offer, what they say, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credentials.models import Import, ImportState
from credentials.services.imports import outcomes, running
from tests import storages
from tests.credentials.services.imports.asked import by_zip, packed, ran
from tests.credentials.web.account import by_token
from tests.credentials.web.visitor import visit
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db
TOKEN = "ghp_" + "w" * 36


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


def text(response: Any) -> str:
    assert response.status_code < 500
    return str(response.content.decode())


def upload(client: Client, content: bytes, library: str = "Cases", **more: str) -> Any:
    file = SimpleUploadedFile("cases.zip", content, content_type="application/zip")
    return client.post(reverse("import_zip"), {"file": file, "library": library, "unwrap": "on", **more})


def test_both_ways_are_offered_and_the_limit_is_said_before(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 5 * 1024 * 1024
    html = text(visit(alice).get(reverse("import_start")))
    assert "From a Git repository" in html
    assert "From a ZIP file" in html
    assert "At most 5.0\xa0MB" in html
    assert html.count("button primary") == 1


def test_an_address_fills_the_form_and_a_token_in_it_does_not(alice: User) -> None:
    client = visit(alice)
    html = text(client.get(reverse("import_start"), {"repository_url": "https://git.example.org/acme/cases"}))
    assert 'value="https://git.example.org/acme/cases"' in html
    answer = client.get(reverse("import_start"), {"repository_url": f"https://{TOKEN}@git.example.org/a/b"})
    assert answer.status_code == 302
    assert TOKEN not in answer["Location"]


def test_a_repository_that_can_be_read_offers_branches_and_folders_and_is_imported(
    alice: User, sandbox: RunningSandbox
) -> None:
    host = by_token(alice, sandbox).host
    client = visit(alice)
    address = f"{host.web_url}/acme/cases"
    html = text(client.post(reverse("import_look"), {"repository_url": address}))
    for part in ('<option value="dev">branch', '<option value="v1">tag', '<option value="cases">cases'):
        assert part in html
    assert 'placeholder="main"' in html
    said = {"repository_url": address, "ref": "dev", "subdirectory": "cases", "library": "Mine"}
    answer = client.post(reverse("import_git"), said)
    job = Import.objects.get()
    assert answer["Location"] == reverse("import", args=[job.pk])
    running.run(job.pk)
    html = text(client.get(answer["Location"]))
    assert "Imported" in html
    assert reverse("snapshot", args=[job.library_id, 1]) in html


def test_a_branch_that_is_not_there_is_said_before_anything_is_imported(
    alice: User, sandbox: RunningSandbox
) -> None:
    host = by_token(alice, sandbox).host
    said = {"repository_url": f"{host.web_url}/acme/cases", "ref": "nope"}
    assert "has no such branch, tag or commit" in text(visit(alice).post(reverse("import_look"), said))


def test_what_stands_in_the_way_is_explained_with_its_step_and_the_zip_offer(
    alice: User, sandbox: RunningSandbox
) -> None:
    host = by_token(alice, sandbox).host
    html = text(
        visit(alice).post(reverse("import_look"), {"repository_url": f"{host.web_url}/sso-corp/cases"})
    )
    assert "single sign-on" in html
    assert f'href="{reverse("import_start")}?source=zip"' in html
    assert html.count("button primary") == 1


@pytest.mark.parametrize(
    "address", ["", "not an address", "ext::sh -c true", f"https://{TOKEN}@x.example.org/a/b"]
)
def test_what_is_no_address_is_said_beside_the_field_and_a_token_is_not_shown_again(
    address: str, alice: User
) -> None:
    html = text(visit(alice).post(reverse("import_look"), {"repository_url": address}))
    assert "errorlist" in html
    assert TOKEN not in html
    assert not Import.objects.exists()


def test_an_uploaded_file_is_imported(alice: User) -> None:
    client = visit(alice)
    answer = upload(client, packed({"a.md": b"1"}).read())
    job = Import.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("import", args=[job.pk]))
    assert (job.file_name, job.library.name, job.library.owner) == ("cases.zip", "Cases", alice)


@pytest.mark.parametrize(
    ("library", "more", "said"),
    [
        ("", {}, "This field is required"),
        ("x" * 101, {}, "at most 100 characters"),
        (f"my {TOKEN}", {}, "This looks like a token"),
        ("Cases", {"subdirectory": "../up"}, "This is no folder"),
    ],
)
def test_what_is_wrong_with_an_upload_is_said_and_nothing_of_it_is_kept(
    library: str, more: dict[str, str], said: str, alice: User, storage: Path
) -> None:
    answer = upload(visit(alice), packed({"a.md": b"1"}).read(), library, **more)
    assert answer.status_code == 422
    assert said in text(answer)
    assert storages.stored(storage) == []
    assert not Import.objects.exists()


def test_a_file_that_is_too_large_is_said_calmly(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 2000
    answer = upload(visit(alice), packed({"a.md": os.urandom(4000)}).read())
    assert answer.status_code == 422
    assert "larger than an upload may be" in text(answer) or "At most" in text(answer)
    assert not Import.objects.exists()


def test_nobody_sees_or_touches_anothers_import(alice: User, bob: User) -> None:
    job = by_zip(alice)
    client = visit(bob)
    assert client.get(reverse("import", args=[job.pk])).status_code == 404
    for name in ("import_cancel", "import_retry"):
        assert client.post(reverse(name, args=[job.pk])).status_code == 404
    job.refresh_from_db()
    assert job.state == ImportState.QUEUED


def test_one_that_waits_can_be_canceled_and_begun_after_all(alice: User) -> None:
    job = by_zip(alice)
    client = visit(alice)
    here = reverse("import", args=[job.pk])
    html = text(client.get(here))
    assert "Waiting for its turn" in html
    assert 'hx-trigger="load delay:1s"' in html
    assert '<meta http-equiv="refresh"' in html
    html = text(client.post(reverse("import_cancel", args=[job.pk]), follow=True))
    assert "Canceled" in html
    assert "hx-trigger" not in html
    client.post(reverse("import_retry", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == ImportState.QUEUED


def test_one_that_runs_says_which_stage_and_how_far(alice: User) -> None:
    job = by_zip(alice)
    Import.objects.filter(pk=job.pk).update(
        state="running",
        stage="reading",
        progress_unit="bytes",
        progress_done=1024,
        progress_total=4096,
        files_done=3,
        files_total=9,
        started_at=timezone.now(),
    )
    html = text(visit(alice).get(reverse("import", args=[job.pk])))
    assert '<progress value="1024" max="4096"' in html
    assert "3 of 9 files" in html
    assert html.count('aria-current="step"') == 1


def test_a_refused_archive_names_the_entry_and_what_to_do(alice: User) -> None:
    job = ran(by_zip(alice, {"a/../../etc/passwd": b"x"}))
    html = text(visit(alice).get(reverse("import", args=[job.pk])))
    assert "a/../../etc/passwd" in html
    assert "Upload another file" in html
    assert html.count("button primary") == 1


def test_a_token_that_a_name_in_an_archive_pretends_to_be_is_text(alice: User) -> None:
    job = ran(by_zip(alice, {"<script>alert(1)</script>/../x": b"x"}))
    assert "<script>alert(1)" not in text(visit(alice).get(reverse("import", args=[job.pk])))


def test_a_quota_that_is_used_up_is_said_where_it_is_asked(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORTS_QUEUED_PER_USER = 1
    client = visit(alice)
    upload(client, packed({"a": b"1"}).read())
    assert "Many imports of this person are under way" in text(
        upload(client, packed({"b": b"1"}).read(), "B")
    )
    assert Import.objects.count() == 1


def test_beginning_anew_over_the_quota_says_so_on_the_page(alice: User, settings: Any) -> None:
    job = by_zip(alice)
    client = visit(alice)
    client.post(reverse("import_cancel", args=[job.pk]))
    settings.CREDENTIALS_IMPORTS_QUEUED_PER_USER = 1
    by_zip(alice, library="Other")
    answer = client.post(reverse("import_retry", args=[job.pk]), follow=True)
    assert answer.status_code == 200
    assert "Many imports of this person are under way" in text(answer)


@pytest.mark.parametrize("code", outcomes.TITLES)
def test_every_reason_that_the_api_tells_leads_to_its_help(code: str) -> None:
    assert Client().get(reverse("help", args=[code.replace("_", "-")])).status_code == 200

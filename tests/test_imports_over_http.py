"""The story of a library, on the real thing: imported by Git and by ZIP, and the same archive out of both."""

from __future__ import annotations

import hashlib
import io
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.demo import Demo, running_demo

pytestmark = pytest.mark.timeout(240)

SECONDS = 60
ENDED = {"succeeded", "failed", "canceled"}
ENTRIES = dict[str, tuple[int, str, str]]


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product's backend: it knows the demo's address and a service key, and imports for alice."""

    demo: Demo
    repository: str

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.demo.key}", **more.pop("headers", {})}
        return requests.request(method, f"{self.demo.base}{path}", headers=headers, timeout=60, **more)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, accepted: requests.Response) -> Any:
        """The import, once it has ended: asked for at ``Location`` again and again."""
        assert accepted.status_code == 202, accepted.text
        deadline = time.monotonic() + SECONDS
        while (job := self.ask("GET", accepted.headers["Location"]).json())["state"] not in ENDED:
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
        return job

    def by_git(self, library: str, **more: str) -> Any:
        body = {"user": "alice", "library": library, "repository_url": self.repository, **more}
        return self.ended(self.ask("POST", "/api/v1/imports/", json=body))

    def by_zip(self, library: str, content: bytes, **more: str) -> Any:
        fields = {"user": "alice", "library": library, "source": "zip", **more}
        sent = {"file": ("cases.zip", content)}
        return self.ended(self.ask("POST", "/api/v1/imports/", data=fields, files=sent))

    def files(self, snapshot: str) -> ENTRIES:
        """The manifest, page after page."""
        found: ENTRIES = {}
        path = f"/api/v1/snapshots/{snapshot}/files/?limit=7"
        while path:
            page = self.ask("GET", path).json()
            found |= {one["path"]: (one["size"], one["sha256"], one["mode"]) for one in page["results"]}
            path = (page["next"] or "").removeprefix(self.demo.base)
        return found

    def archive(self, snapshot: str, **headers: str) -> requests.Response:
        return self.ask("GET", f"/api/v1/snapshots/{snapshot}/archive/", headers=headers)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkout") / "cases"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Product]:
    """The demo, with alice's account at the emulated GitHub connected, and her repository checked out."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        words = ("--host", "github", "--account", "octo-alice", "--kind", "personal_token", "--scope", "repo")
        token = demo.manage("sandbox_token", *words).strip()
        made = demo.api("POST", "/credentials/", user="alice", host="github", token=token)
        assert made.status_code == 201, made.text
        repository = f"{demo.emulated['github']['web_url']}/acme/cases"
        git(checkout.parent, "clone", "-q", repository.replace("://", f"://octo-alice:{token}@"), "cases")
        yield Product(demo=demo, repository=repository)


def git(folder: Path, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True, timeout=60)
    return done.stdout


def test_the_same_content_by_git_and_by_zip_is_the_same_snapshot_and_the_same_archive(
    product: Product, checkout: Path, tmp_path: Path
) -> None:
    packed = git(checkout, "archive", "--format=zip", "--prefix=cases/", "HEAD")
    jobs = [product.by_git("by git", reference="release 7"), product.by_zip("by zip", packed)]

    assert [(job["state"], job["error"], job["verdict"]) for job in jobs] == [("succeeded", None, None)] * 2
    by_git, by_zip = (product.get(f"/snapshots/{job['snapshot']}/") for job in jobs)
    assert by_git["commit"] == git(checkout, "rev-parse", "HEAD").decode().strip()
    assert (by_git["ref"], by_git["source"], by_zip["source"]) == ("refs/heads/main", "git", "zip")
    assert by_zip["file_name"] == "cases.zip"
    assert [remark["reason"] for remark in by_zip["remarks"]] == ["unwrapped"]
    assert by_git["digest"] == by_zip["digest"]

    archives = [product.archive(job["snapshot"]) for job in jobs]
    assert archives[0].content == archives[1].content
    assert {answer.headers["ETag"] for answer in archives} == {f'"{by_git["digest"]}"'}
    assert [product.files(job["snapshot"]) for job in jobs] == [unzipped(archives[0].content, tmp_path)] * 2
    assert set(unzipped(archives[0].content, tmp_path)) == set(
        git(checkout, "-c", "core.quotePath=false", "ls-files").decode().splitlines()
    )


def unzipped(archive: bytes, folder: Path) -> ENTRIES:
    """What ``unzip`` makes of an archive."""
    (folder / "archive.zip").write_bytes(archive)
    words = ["unzip", "-q", "-o", "-d", str(folder / "out"), str(folder / "archive.zip")]
    subprocess.run(words, check=True, timeout=60)
    found = {}
    for path in (folder / "out").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            mode = "100755" if path.stat().st_mode & 0o111 else "100644"
            name = str(path.relative_to(folder / "out"))
            found[name] = (len(content), hashlib.sha256(content).hexdigest(), mode)
    return found


def test_a_download_that_broke_off_goes_on_where_it_was_and_one_that_is_known_is_not_sent(
    product: Product,
) -> None:
    snapshot = product.by_git("by git")["snapshot"]
    whole = product.archive(snapshot)
    begun = product.archive(snapshot, Range="bytes=0-99")
    rest = product.archive(snapshot, Range="bytes=100-", **{"If-Range": whole.headers["ETag"]})
    assert (begun.status_code, rest.status_code) == (206, 206)
    assert begun.content + rest.content == whole.content
    known = product.archive(snapshot, **{"If-None-Match": whole.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_bringing_a_library_up_to_date_adds_a_snapshot_only_where_something_changed(
    product: Product, checkout: Path
) -> None:
    first = product.by_git("kept up to date", ref="v1")
    library = f"/libraries/{first['library']['id']}/"
    again = product.ended(product.ask("POST", f"/api/v1{library}update/"))
    assert (again["is_unchanged"], again["snapshot"]) == (True, first["snapshot"])

    newer = product.by_git("kept up to date", ref="main")
    assert newer["is_unchanged"] is False
    told = product.get(f"{library}difference/?from=1&to=2")
    changed = git(checkout, "diff", "--name-only", "--no-renames", "v1", "origin/main").decode().splitlines()
    paths = [
        *(one["path"] for sort in ("added", "removed") for one in told[sort]),
        *(pair["after"]["path"] for pair in told["changed"]),
        *(pair[when]["path"] for pair in told["moved"] for when in ("before", "after")),
    ]
    assert sorted(paths) == sorted(changed)
    assert paths
    assert product.get(library)["snapshots"] == 2


def test_what_cannot_be_imported_says_why(product: Product) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("../outside", b"1")
    refused = product.by_zip("refused", target.getvalue())
    assert (refused["state"], refused["snapshot"], refused["verdict"]) == ("failed", None, None)
    error = refused["error"]
    assert (error["code"], error["reason"]) == ("content_refused", "path_traversal")
    assert (error["entry"], error["retryable"]) == ("../outside", False)

    assert product.by_git("refused", ref="nowhere")["error"]["code"] == "ref_not_found"
    body = {"user": "charlie", "library": "refused", "repository_url": product.repository}
    closed = product.ended(product.ask("POST", "/api/v1/imports/", json=body))
    assert (closed["state"], closed["error"]) == ("failed", None)
    assert closed["verdict"]["code"] == "no_credential"
    assert closed["verdict"]["offer_zip"] is True


def test_the_same_upload_asked_for_twice_is_one_import(product: Product) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("case", b"1")
    made = {
        product.ask(
            "POST",
            "/api/v1/imports/",
            data={"user": "alice", "library": "once"},
            files={"file": ("cases.zip", target.getvalue())},
            headers={"Idempotency-Key": "job-7"},
        ).json()["id"]
        for _time in range(2)
    }
    assert len(made) == 1


def test_nothing_of_all_this_lies_about(product: Product) -> None:
    """Libraries, and nothing else: no upload, no folder of a worker."""
    assert [path for path in (product.demo.data_dir / "imports").rglob("*") if path.is_file()] == []

"""docs/imports.md says what the code does: its tables, its limits, and the way to check a digest by hand."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from credentials.conf import NAMES
from credentials.sources.archive import open_archive
from credentials.sources.content import ContentLimits
from credentials.sources.snapshot import Manifest
from credentials.sources.stored_zip import write_archive
from credentials.verdicts.refusals import Refusal, Remark

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "imports.md").read_text("utf-8")
LIMITS = ContentLimits(files=100, bytes=1 << 20, file_bytes=1 << 20)


def first_cells(*, between: str, and_: str) -> list[str]:
    section = PAGE.partition(f"\n## {between}\n")[2].partition(f"\n## {and_}\n")[0]
    return re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)


def test_every_remark_is_explained_and_no_other() -> None:
    assert sorted(first_cells(between="What is taken", and_="What is refused")) == sorted(Remark)


def test_every_reason_to_refuse_is_explained_and_no_other() -> None:
    told = first_cells(between="What is refused", and_="The manifest and the digest")
    assert sorted(told) == sorted(Refusal)


def test_every_limit_of_imports_and_of_what_is_stored_is_named() -> None:
    limits = {name for name in NAMES if name.startswith(("IMPORT", "STORED", "SNAPSHOTS"))}
    assert set(re.findall(r"CREDENTIALS_([A-Z_]+)", PAGE)) == limits


def test_the_manifest_that_is_shown_is_one() -> None:
    (shown,) = re.findall(r"```\n(forgekey-tree-v1\n.*?)```", PAGE, re.DOTALL)
    assert Manifest.parse(shown.encode()).files == 2


def test_a_digest_can_be_checked_by_hand_as_it_is_shown(tmp_path: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed")
    manifest = snapshot_at(tmp_path / "snapshot.zip")
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    said = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == [manifest.digest, "-"]


def snapshot_at(place: Path) -> Manifest:
    """A snapshot's archive, of files whose names ask for trouble in a shell."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("run.sh", "a b/$(date).md", "-n", "Z", "a.b", "a/b", "\u00fc/\u4f8b 'quoted'", "empty"):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (0o100755 if name == "run.sh" else 0o100644) << 16
            archive.writestr(info, "" if name == "empty" else name)
    content = open_archive(packed, limits=LIMITS, unwrap=False)
    with place.open("w+b") as target:
        return write_archive(content, target, progress=lambda _files, _bytes: None)

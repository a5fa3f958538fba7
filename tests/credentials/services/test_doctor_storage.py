"""The doctor tries the storage as an import would, and looks whether every archive is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.services import doctor_storage
from credentials.services.libraries import trees
from credentials.services.remarks import Level, Remark
from tests import storages

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


def only(remarks: Any) -> Remark:
    (found,) = list(remarks)
    assert isinstance(found, Remark)
    return found


def test_a_storage_that_works_is_left_as_it_was(storage: Path) -> None:
    assert only(doctor_storage.storage()).level is Level.OK
    assert storages.stored(storage) == []


def test_a_storage_that_takes_nothing_is_a_problem(storage: Path) -> None:
    storage.write_text("a file where the folder should be")
    found = only(doctor_storage.storage())
    assert (found.level, "STORAGE_URL" in found.remedy) == (Level.PROBLEM, True)


def test_a_folder_that_others_may_look_into_is_a_problem(storage: Path, tmp_path: Path) -> None:
    storage.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    assert only(doctor_storage.storage()).remedy == f"chmod 700 {storage}"
    tmp_path.chmod(0o700)
    assert only(doctor_storage.storage()).level is Level.OK


def test_an_archive_that_is_not_there_is_named(
    alice: User, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [storages.snapshot(storages.library(alice), tmp_path, {"a": str(number)}) for number in range(3)]
    assert only(doctor_storage.archives()).text == "3 archives are in the storage."
    (storage / made[1].tree.archive).unlink()
    found = only(doctor_storage.archives())
    assert (found.level, found.text.partition(",")[0]) == (
        Level.PROBLEM,
        "1 of 3 archives are not in the storage",
    )
    assert made[1].tree.archive in found.text
    monkeypatch.setattr(trees, "_FEW", 0)
    assert only(doctor_storage.archives()) == found

"""A storage of files of this test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.storages import use_folder


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return use_folder(settings, tmp_path / "storage")

"""One sandbox process for all tests of this folder, as new before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox import RunningSandbox, start_sandbox


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(process: RunningSandbox) -> RunningSandbox:
    process.reset()
    return process

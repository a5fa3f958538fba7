"""The process itself: it says where it is, stops on signals, and with the one who started it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.sandbox.emulated import EMULATED
from tests.sandbox import ROOT, start_sandbox

Process = subprocess.Popen[str]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "project.sandbox", "--port", "0", "--data-dir", str(tmp_path)]
    running = subprocess.Popen(
        [*command, "--stop-with-stdin"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        yield running
        running.kill()


def until_ready(process: Process) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in EMULATED]


def test_it_prints_one_line_for_each_host(process: Process) -> None:
    lines = until_ready(process)
    assert [line.split()[0] for line in lines] == [slug for slug, _ in EMULATED]
    assert all("http://127.0.0.1:" in line for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(process: Process, tmp_path: Path, number: signal.Signals) -> None:
    until_ready(process)
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    assert not (tmp_path / "sandbox.json").exists()
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_the_end_of_its_input_ends_it(process: Process) -> None:
    until_ready(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "project.sandbox", "--port", port, "--data-dir", str(tmp_path)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("The sandbox cannot start:")
    assert "Traceback" not in result.stderr


def test_it_imports_nothing_of_the_product_and_only_the_standard_library() -> None:
    script = (
        "import sys, project.sandbox.__main__ as m\n"
        "bad = [n for n in sys.modules if n.split('.')[0] in {'credentials', 'django', 'requests'}]\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


def test_a_started_sandbox_is_gone_after_stop(tmp_path: Path) -> None:
    running = start_sandbox(tmp_path)
    running.stop()
    assert running.process.poll() == 0
    deadline = time.monotonic() + 5
    while (tmp_path / "sandbox.json").exists():
        assert time.monotonic() < deadline

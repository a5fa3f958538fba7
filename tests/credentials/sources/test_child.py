"""A program run shut off: what it finds, what it may use, and that nothing of it is left."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from credentials.sources import child
from credentials.sources.child import Limits, Outcome, Running
from tests.credentials.sources.git_server import processes_with

LIMITS = Limits(cpu_seconds=5, memory_bytes=1 << 29, file_bytes=1000, output_bytes=1000)


def run(
    program: str,
    *words: str,
    seconds: float = 10,
    inherited: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    **limits: Any,
) -> Outcome:
    """Run a piece of Python."""
    return child.run(
        [sys.executable, "-I", "-S", "-c", program, *words],
        environment=environment or {},
        limits=replace(LIMITS, **limits),
        deadline=time.monotonic() + seconds,
        inherited=inherited,
    )


def test_it_tells_how_the_program_ended_and_what_it_said() -> None:
    said = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert said == Outcome(status=7, output=b"out\n", errors=b"err\n")


def test_a_signal_is_a_negative_status() -> None:
    assert run("import os; os.kill(os.getpid(), 15)").status == -15


def test_a_program_that_is_not_there_is_an_ending_without_status() -> None:
    limits = replace(LIMITS, output_bytes=10)
    said = child.run(["/nonexistent"], environment={}, limits=limits, deadline=time.monotonic() + 10)
    assert (said.status, said.over_time) == (None, False)


def test_the_program_finds_nothing_of_ours() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    program = (
        "import os; print(sorted(os.environ), os.getcwd(), sorted(map(int, os.listdir('/proc/self/fd')))[:-1]"
        ", os.read(0, 9), os.getsid(0) != int(os.environ['PARENT_SESSION']))"
    )
    try:
        said = run(
            program, inherited=(reading,), environment={"LC_ALL": "C", "PARENT_SESSION": str(os.getsid(0))}
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert said.output == b"['LC_ALL', 'PARENT_SESSION'] / [0, 1, 2, 3, 4] b'' True\n"


def test_open_files_arrive_in_order_whatever_their_numbers_were() -> None:
    pipes = [os.pipe() for _number in range(4)]
    # The numbers of the program's own side, handed over crosswise.
    reading = [pipe[0] for pipe in pipes][::-1]
    for number, (_reading, writing) in enumerate(pipes[::-1]):
        os.write(writing, b"%d" % number)
        os.close(writing)
    said = run("import os; print([os.read(fd, 9) for fd in (4, 5, 6, 7)])", inherited=reading)
    for descriptor in reading:
        os.close(descriptor)
    assert said.output == b"[b'0', b'1', b'2', b'3']\n"


def test_reports_are_lines_and_cannot_pretend_to_be_endless() -> None:
    said = run(
        "import os; os.write(3, b'one\\ntwo\\nhalf'); [os.write(3, b'x' * 99 + b'\\n') for _ in range(9999)]"
    )
    assert said.status == 0
    assert said.reports[:2] == ("one", "two")
    assert sum(map(len, said.reports)) < 70_000


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("file = open(sys.argv[1], 'wb', 0); [file.write(b'a' * 900) for _ in range(3)]", b"File too large"),
        ("bytearray(1 << 30)", b"MemoryError"),
        ("files = [open('/dev/null') for _ in range(100)]", b"Too many open files"),
    ],
)
def test_limits_hold(tmp_path: Path, program: str, what: bytes) -> None:
    said = run(f"import sys; {program}", str(tmp_path / "file"))
    assert said.status == 1
    assert what in said.errors


def test_limits_are_for_good_and_no_core_is_written() -> None:
    program = "import resource as r; print([r.getrlimit(x) for x in (r.RLIMIT_CORE, r.RLIMIT_CPU, r.RLIMIT_NOFILE)])"
    assert run(program).output == b"[(0, 0), (5, 5), (64, 64)]\n"


def test_work_without_end_is_over_with_the_processor_time() -> None:
    said = run("while True: pass", cpu_seconds=1)
    assert said.status == -9


def test_time_is_up_for_the_program_and_all_that_it_started() -> None:
    mark = f"child-{time.monotonic_ns()}"
    program = (
        "import os, sys, time\n"
        "for _ in range(3):\n    if not os.fork(): break\n"
        "print('on', flush=True)\nwhile True: print('x', end='', file=sys.stderr, flush=True); time.sleep(.01)"
    )
    begin = time.monotonic()
    said = run(program, mark, seconds=1)
    assert time.monotonic() - begin < 3
    assert (said.over_time, said.status) == (True, None)
    assert processes_with(mark) == {}


def test_a_child_left_behind_is_waited_for_by_nobody_and_killed() -> None:
    mark = f"child-{time.monotonic_ns()}"
    begin = time.monotonic()
    said = run("import os, time\nif not os.fork(): time.sleep(60)", mark)
    assert time.monotonic() - begin < 5
    assert (said.status, said.over_time) == (0, False)
    assert processes_with(mark) == {}


def test_too_much_output_ends_the_program() -> None:
    said = run("while True: print('x' * 99)")
    assert (said.over_size, said.status) == (True, None)
    assert len(said.output) == 1000


def test_of_long_errors_both_ends_are_kept_in_whole_lines() -> None:
    program = "import sys\nfor n in range(9999): print('line', n, 'of many', file=sys.stderr)"
    said = run(program).errors
    lines = said.decode().splitlines()
    assert len(said) <= 4096
    assert (lines[0], lines[-1]) == ("line 0 of many", "line 9998 of many")
    assert all(len(line.split()) == 4 for line in lines)


def test_a_line_too_long_to_keep_is_not_kept_in_part() -> None:
    said = run("import sys; sys.stderr.write('a' * 5000 + '\\nend\\n')").errors
    assert said == b"end\n"


def test_open_files_of_ours_are_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run("pass")
    monkeypatch.setattr(child, "PYTHON", ("/nonexistent",))
    with pytest.raises(FileNotFoundError):
        run("pass")
    assert len(os.listdir("/proc/self/fd")) == before


# --- Read while it works ------------------------------------------------------------------------------


def started(program: str, *, seconds: float = 10, **options: Any) -> AbstractContextManager[Running]:
    return child.started(
        [sys.executable, "-I", "-S", "-c", program],
        environment={},
        limits=replace(LIMITS, output_bytes=1 << 30),
        deadline=time.monotonic() + seconds,
        **options,
    )


def test_output_comes_as_it_is_printed_and_nothing_is_kept() -> None:
    program = "import time\nfor n in range(3): print(n, flush=True); time.sleep(.2)"
    times = []
    with started(program) as running:
        for block in running.blocks():
            times.append((block, time.monotonic()))
        said = running.outcome()
    assert [block for block, _time in times] == [b"0\n", b"1\n", b"2\n"]
    assert times[2][1] - times[0][1] > 0.3
    assert (said.status, said.output) == (0, b"")


def test_a_program_waits_for_whoever_reads_slowly() -> None:
    program = "import sys\nfor _ in range(100): sys.stdout.buffer.write(b'x' * 100_000)"
    with started(program) as running:
        blocks = running.blocks()
        first = next(blocks)
        time.sleep(0.3)
        assert running.outcome().status is None
        assert len(first) + sum(map(len, blocks)) == 10_000_000
        assert running.outcome().status == 0


def test_a_program_reads_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"one\ntwo\n" * 50_000)
    program = (
        "import os, sys; print(len(sys.stdin.read()), sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    )
    reading, writing = os.pipe()
    os.close(writing)
    source = os.open(tmp_path / "input", os.O_RDONLY)
    with started(program, source=source, inherited=(reading,)) as running:
        assert b"".join(running.blocks()) == b"400000 [0, 1, 2, 3, 4]\n"
    os.close(source)
    os.close(reading)


def test_without_anything_given_there_is_nothing_to_read() -> None:
    with started("import sys; print(repr(sys.stdin.read()))") as running:
        assert b"".join(running.blocks()) == b"''\n"


def test_it_is_watched_although_nothing_arrives_and_whoever_watches_may_end_it() -> None:
    mark = f"child-{time.monotonic_ns()}"
    times: list[float] = []

    def watch() -> None:
        times.append(time.monotonic())
        if len(times) == 4:
            raise KeyboardInterrupt

    program = f"import time; mark = '{mark}'; time.sleep(60)"
    with pytest.raises(KeyboardInterrupt), started(program, watch=watch) as running:
        list(running.blocks())
    assert all(later - earlier < 0.6 for earlier, later in pairwise(times))
    assert processes_with(mark) == {}


def test_a_reader_that_fails_ends_the_program() -> None:
    mark = f"child-{time.monotonic_ns()}"
    with pytest.raises(ZeroDivisionError), started(f"mark = '{mark}'\nwhile True: print('x')") as running:
        next(len(block) // 0 for block in running.blocks())
    assert processes_with(mark) == {}


def test_what_is_sifted_out_of_its_errors_is_not_kept() -> None:
    program = "import sys; [print('noise' * 100, file=sys.stderr) for _ in range(99)]; print('end', file=sys.stderr)"
    with started(program, sift=lambda data: data.replace(b"noise", b"").replace(b"\n", b"")) as running:
        list(running.blocks())
        assert running.outcome().errors == b"end"

"""Runs several actors one step at a time, in an order that a seed decides.

An actor stops before every statement it sends to the database, and wherever else it meets the gate; a provider's
server stops before it works and again before it answers. Only one of those that stand there goes on at a time.
Who waits for a lock of the database is told by PostgreSQL itself, or, at SQLite, by its silence.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection, connections

from tests.processes import database_url

_POLL = 0.005
_SILENT = 0.1  # at SQLite: whoever has not come so far by then waits for the lock
_STUCK = 30.0
_HASTES = (1, 8, 8, 64)


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that keep their connections from schedule to schedule."""
    with ThreadPoolExecutor(count) as started:
        yield started
        together = threading.Barrier(count)

        def close() -> None:
            together.wait(10)  # so that each thread closes its own
            connections.close_all()

        for closing in [started.submit(close) for _ in range(count)]:
            closing.result()


@dataclass(eq=False)
class _Stop:
    """Somebody stands at the gate."""

    name: str
    is_actor: bool
    may_go: bool = False


@dataclass
class Interleaving:
    """One schedule. ``steps`` tells afterwards who went when, to be read beside the seed."""

    seed: int
    steps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._changed = threading.Condition()
        self._stops: list[_Stop] = []
        self._running = 0
        self._calls = 0
        self._pids: set[int] = set()
        self._hastes: dict[str, int] = {}
        self._open = False

    # For actors and servers

    def gate(self, name: str) -> None:
        """An actor stops here until it is its turn."""
        self._stand(name, actor=True)

    def call_gate(self, name: str) -> None:
        """A server that works for an actor stops here; the actor waits for it meanwhile."""
        self._stand(name, actor=False)

    def _stand(self, name: str, *, actor: bool) -> None:
        stop = _Stop(name, is_actor=actor)
        with self._changed:
            if self._open:
                return
            self._stops.append(stop)
            self._running -= actor
            self._calls += not actor
            self._changed.notify_all()
            while not stop.may_go:
                assert self._changed.wait(_STUCK), f"{name} was forgotten at the gate"

    def _act(self, name: str, deed: Callable[[], object]) -> object:
        connection.ensure_connection()
        with self._changed:
            if connection.vendor == "postgresql":
                self._pids.add(connection.connection.info.backend_pid)
        try:
            with connection.execute_wrapper(self._before_statement(name)):
                self.gate(f"{name}: begins")
                return deed()
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _before_statement(self, name: str) -> Callable[..., Any]:
        def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            # Savepoints have names of their own in each thread.
            self.gate(f"{name}: {sql.partition(' ')[0] if 'SAVEPOINT' in sql else sql[:40]}")
            return execute(sql, params, many, context)

        return wrapper

    # For the test

    def run(
        self, pool: ThreadPoolExecutor, actors: Sequence[tuple[str, Callable[[], object]]]
    ) -> list[object]:
        """Let all act; what each returned, or the exception it ended with."""
        self._running = len(actors)
        futures: list[Future[object]] = [pool.submit(self._act, name, deed) for name, deed in actors]
        with self._watching() as waiting:
            while not all(future.done() for future in futures):
                self._wait_until_all_stand(waiting)
                self._one_goes()
        with self._changed:
            self._open = True
        return [future.exception() or future.result() for future in futures]

    def _one_goes(self) -> None:
        with self._changed:
            if not self._stops:
                return
            standing = sorted(self._stops, key=lambda one: one.name)
            (stop,) = self._dice.choices(standing, [self._haste(one) for one in standing])
            self._stops.remove(stop)
            self.steps.append(stop.name)
            # Counted at once, so that nobody else is chosen before it stands again.
            self._running += stop.is_actor
            self._calls -= not stop.is_actor
            stop.may_go = True
            self._changed.notify_all()

    def _haste(self, stop: _Stop) -> int:
        """Some are slow all the time, so that much happens between two of their steps."""
        who = stop.name.partition(":")[0]
        if who not in self._hastes:
            self._hastes[who] = self._dice.choice(_HASTES)
        return self._hastes[who]

    def _wait_until_all_stand(self, waiting: Callable[[], int]) -> None:
        began = time.monotonic()
        with self._changed:
            while not self._all_stand():
                if self._changed.wait(_POLL):
                    continue
                if self._stops and self._running - waiting() <= self._calls:
                    return
                if connection.vendor == "sqlite" and self._stops and time.monotonic() - began > _SILENT:
                    return
                assert time.monotonic() - began < _STUCK, f"nobody goes on after {self.steps[-5:]}"

    def _all_stand(self) -> bool:
        return self._running == self._calls

    @contextmanager
    def _watching(self) -> Iterator[Callable[[], int]]:
        """How many actors wait for a lock just now."""
        if connection.vendor != "postgresql":
            yield lambda: 0
            return
        with psycopg.connect(database_url(), autocommit=True) as watcher:

            def waiting() -> int:
                row = watcher.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s) AND wait_event_type = 'Lock'",
                    [list(self._pids)],
                ).fetchone()
                assert row is not None
                return int(row[0])

            yield waiting

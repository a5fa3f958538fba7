"""Measures the common lease (key known, credential fresh) against the floor, in one run: ``make bench``.

Both run under the same server on the same database and are loaded in turns; the figure that travels from
machine to machine is the ratio.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import django
from django.core.management import call_command
from django.db import connection

from bench import installation, servers
from bench.installation import Installation
from bench.load import Exchange, Measured, measure

_SAMPLE = 1_000
_WARM_UP_SECONDS = 1.5
_TARGETS = (("floor", "bench.floor:application"), ("forgekey", "project.wsgi:application"))


@dataclass(kw_only=True, slots=True)
class Contender:
    """One of the two applications, and what was measured of it, by number of clients."""

    name: str
    port: int
    server: int
    answers: int = 0
    rounds: dict[int, list[Measured]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)

    def load(self, exchanges: Sequence[Exchange], *, clients: int, seconds: float) -> Measured:
        measured = measure(self.port, exchanges, clients=clients, seconds=seconds)
        self.answers += measured.answers
        return measured

    def load_and_note(self, exchanges: Sequence[Exchange], *, clients: int, seconds: float) -> None:
        before = servers.cpu_seconds(self.server)
        measured = self.load(exchanges, clients=clients, seconds=seconds)
        spent = servers.cpu_seconds(self.server) - before
        self.rounds.setdefault(clients, []).append(measured)
        self.cpu.setdefault(clients, []).append(spent / measured.answers)


def main() -> None:
    """Prepare, measure, check that everything answered was recorded, and say the figures."""
    options = _options()
    with installation.fresh() as place, ExitStack() as stack:
        print(f"Filling a fresh database with {options.credentials:,} credentials …", flush=True)
        exchanges = _prepare(options.credentials)
        floor, forgekey = (_start(stack, name, target, place, options) for name, target in _TARGETS)
        _say_what(place, options)
        _measure((floor, forgekey), exchanges, options)
        _check(floor, forgekey)
        _say_figures(floor, forgekey)
        connection.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.lend", description=__doc__)
    parser.add_argument("--credentials", type=int, default=1_000)
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[1, 8], help="connections kept busy at once"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of each server")
    parser.add_argument("--threads", type=int, default=4, help="blocking threads of each process")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a round")
    parser.add_argument("--port", type=int, default=18400, help="where to look for free ports")
    return parser.parse_args()


def _prepare(credentials: int) -> list[Exchange]:
    django.setup()
    from bench import floor, rows  # noqa: PLC0415  # models are not ready any earlier

    call_command("migrate", verbosity=0)
    exchanges = rows.fill(credentials, sample=_SAMPLE)
    floor.create_table()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return exchanges


def _start(
    stack: ExitStack, name: str, target: str, place: Installation, options: argparse.Namespace
) -> Contender:
    port = servers.free_port(options.port)
    log = place.folder / f"{name}.log"
    server = stack.enter_context(
        servers.serving(target, port, workers=options.workers, threads=options.threads, log=log)
    )
    return Contender(name=name, port=port, server=server)


def _measure(
    contenders: Sequence[Contender], exchanges: Sequence[Exchange], options: argparse.Namespace
) -> None:
    for contender in contenders:
        contender.load(exchanges, clients=max(options.clients), seconds=_WARM_UP_SECONDS)
    gc.freeze()
    gc.disable()
    for number in range(options.rounds):
        # Whoever comes first in one round comes last in the next.
        order = contenders if number % 2 == 0 else contenders[::-1]
        for clients in options.clients:
            for contender in order:
                contender.load_and_note(exchanges, clients=clients, seconds=options.seconds)


def _check(floor: Contender, forgekey: Contender) -> None:
    """Every answer has its audit row, and ours are numbered without a gap."""
    from bench.floor import count_events  # noqa: PLC0415  # reads the environment
    from credentials.models import AuditEvent, Lease  # noqa: PLC0415  # models are not ready any earlier

    lent = AuditEvent.objects.filter(action="lease.created").count()
    newest = AuditEvent.objects.order_by("-seq").values_list("seq", flat=True).first()
    counted: tuple[tuple[str, Callable[[], object], object], ...] = (
        ("audit rows of the floor", count_events, floor.answers),
        ("audit events of leases", lambda: lent, forgekey.answers),
        ("leases", Lease.objects.count, forgekey.answers),
        ("audit events in all", AuditEvent.objects.count, newest),
    )
    for name, count, expected in counted:
        if (found := count()) != expected:
            raise SystemExit(f"{found} {name}, but {expected} were due: the figures mean nothing.")
    print(f"Checked: {floor.answers:,} + {forgekey.answers:,} answers, each with its audit row; no gap.\n")


def _say_what(place: Installation, options: argparse.Namespace) -> None:
    print(f"{place.database}; {os.cpu_count()} cores for clients, server and database together")
    server = f"granian, {options.workers} worker(s) of {options.threads} threads"
    print(f"{server}; {options.rounds} rounds of {options.seconds:g} s", flush=True)


def _say_figures(floor: Contender, forgekey: Contender) -> None:
    print("clients            requests/s   ratio   p50 ms   p99 ms   server CPU, ms a request")
    for clients, base in floor.rounds.items():
        for contender in (floor, forgekey):
            rounds = contender.rounds[clients]
            # Round by round, so that what disturbed both at once is not counted.
            ratio = statistics.median(one.rate / other.rate for one, other in zip(rounds, base, strict=True))
            rate = statistics.median(one.rate for one in rounds)
            latencies = sorted(latency * 1000 for one in rounds for latency in one.latencies)
            middle, slow = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
            cpu = statistics.median(contender.cpu[clients]) * 1000
            line = f"{clients:>7}  {contender.name:10}{rate:>10,.0f}{ratio:>8.2f}{middle:>9.2f}{slow:>9.2f}{cpu:>9.2f}"
            print(line)


if __name__ == "__main__":
    main()

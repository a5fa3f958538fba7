"""Many callers ask for a live token of one account each time it ends: how often does the provider hear of it?

    python -m bench.refresh --callers 200 --expiries 200 --processes 4 --provider toolkit

Exactly once for each end, or the run fails: a second use of a refresh token ends the grant at this provider.
Each caller's token is shown to the provider before the next end. Prints the calls and how long callers waited.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

from bench.rounds import ROUND_SECONDS, Seen
from bench.stage import PROVIDERS, Provider, Stage, set_up


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with set_up(
        provider=options.provider, database=options.database, connections=options.callers + 60
    ) as stage:
        if options.refresher:
            stage.program("refresher", "manage.py", "refresher").start()
        seen, seconds = _run(stage, options)
        _report(stage.provider, options, seen, seconds)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.refresh", description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--expiries", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--credentials", type=int, default=1, help="accounts that all end at once")
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="toolkit")
    parser.add_argument("--refresher", action="store_true", help="with the refresher's own process")
    parser.add_argument("--database", help="an empty PostgreSQL database; without it a server is started")
    return parser.parse_args(arguments)


def _run(stage: Stage, options: argparse.Namespace) -> tuple[list[Seen], float]:
    """Let every account's token end, again and again, and every caller ask at that moment."""
    from bench import accounts  # noqa: PLC0415  only once Django is set up

    known = [made.pk for made in stage.connect(options.credentials)]
    context = multiprocessing.get_context("spawn")
    each = options.callers // options.processes
    barrier = context.Barrier(each * options.processes + 1)
    pipes, processes = [], []
    for number in range(options.processes):
        mine, theirs = context.Pipe(duplex=False)
        asked = [known[(number * each + caller) % len(known)] for caller in range(each)]
        process = context.Process(
            target=_callers,
            args=(theirs, barrier, asked, options.expiries, stage.provider.api_url),
            daemon=True,
        )
        process.start()
        pipes.append(mine)
        processes.append(process)
    started = time.perf_counter()
    for _ in range(options.expiries):
        stage.provider.expire()
        accounts.let_end()
        barrier.wait(ROUND_SECONDS)  # ask
        barrier.wait(ROUND_SECONDS)  # all have been answered
    seconds = time.perf_counter() - started
    return [pipe.recv() for pipe in pipes], seconds


def _callers(pipe: Connection, barrier: Any, accounts: Sequence[UUID], expiries: int, api_url: str) -> None:
    """A process of callers, which has read nothing yet."""
    import django  # noqa: PLC0415  only once the environment is set

    django.setup()
    try:
        from bench import callers  # noqa: PLC0415  as above

        pipe.send(callers.ask(barrier, accounts, expiries, api_url))
    except BaseException:
        barrier.abort()  # the others need not wait for this process
        raise


def _report(provider: Provider, options: argparse.Namespace, seen: Sequence[Seen], seconds: float) -> None:
    waits = sorted(wait for one in seen for wait in one.waits)
    refused = sum(len(one.refused) for one in seen)
    problems = [problem for one in seen for problem in one.problems]
    expected, calls = options.expiries * options.credentials, provider.refreshes()
    asked = options.callers // options.processes * options.processes * options.expiries
    print(f"provider              {options.provider}")
    print(f"callers               {options.callers} in {options.processes} processes")
    print(f"refreshes             {calls} seen by the provider, {expected} expected")
    print(f"double uses           {provider.reuses()}")
    print(f"tokens asked for      {asked}, had {len(waits)}, refused by the provider {refused}")
    if waits:
        print(
            f"wait, ms              p50 {_at(waits, 50):.0f}  p99 {_at(waits, 99):.0f}  most {waits[-1] * 1000:.0f}"
        )
    print(f"grants alive          {provider.live_grants()} of {options.credentials}")
    print(f"seconds               {seconds:.0f}, {os.cpu_count()} cores")
    for problem in problems[:10]:
        print(f"problem               {problem}")
    good = (calls, provider.reuses(), refused, len(waits), provider.live_grants())
    if good != (expected, 0, 0, asked, options.credentials):
        sys.exit("FAILED")


def _at(waits: Sequence[float], percent: int) -> float:
    return statistics.quantiles(waits, n=100)[percent - 1] * 1000 if len(waits) > 1 else waits[0] * 1000


if __name__ == "__main__":
    main()

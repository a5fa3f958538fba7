"""`python -m project.sandbox`: start every emulated host, say where they are, and stop on a signal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from project.sandbox.world import World


def _arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m project.sandbox", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=8900, help="first of one port per host; 0 picks free ones"
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="where repositories and tokens are kept")
    parser.add_argument(
        "--app-redirect-base",
        action="append",
        metavar="URL",
        help="where the product runs, for the redirect addresses of the OAuth apps; may be given again",
    )
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop when standard input ends, so that a parent that dies leaves nothing behind",
    )
    return parser.parse_args(words)


def _wait_for_end_of_input(stopped: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stopped.set()


def main(words: list[str] | None = None) -> int:
    """Run until a signal comes. Returns 0, or 1 if a port is taken."""
    arguments = _arguments(words)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    bases = arguments.app_redirect_base or ["http://127.0.0.1:8000"]
    try:
        world = World(arguments.data_dir, port=arguments.port, redirect_bases=bases)
    except OSError as error:
        print(f"The sandbox cannot start: {error}", file=sys.stderr)
        return 1
    with world:
        for slug, host in world.hosts.items():
            print(f"{slug:<12} {host.web_url}  (control page {host.web_url}/_sandbox/)", flush=True)
        if arguments.stop_with_stdin:
            threading.Thread(target=_wait_for_end_of_input, args=(stopped,), daemon=True).start()
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

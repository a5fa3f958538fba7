"""``demo``: the whole product on this machine: web, worker, and the emulated Git hosts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.crypto.secret import Secret
from credentials.models import Scope, ServiceClient
from credentials.services import clients, demo_people, hosts
from credentials.services.audit import Actor
from project.sandbox.emulated import EMULATED

_ACTOR = Actor.system("demo")
_SANDBOX_SECONDS = 60
# Longer than the worker waits for its refresher, which may be in the middle of a call.
_STOP_SECONDS = 45


class Command(BaseCommand):
    help = "Runs the product and the emulated Git hosts on this machine, for trying out. Ctrl-C ends all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--sandbox-port", type=int, default=8900)
        parser.add_argument("--data-dir", default="var")

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir = Path(options["data_dir"]).resolve()
        if Path(settings.DATA_DIR) != data_dir or settings.SECURE:
            # Settings are read once; start again with the data folder that was asked for.
            os.environ |= {"DATA_DIR": str(data_dir), "SECURE": "false"}
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # this very command again
        sandbox_port = options["sandbox_port"]
        _refuse_busy(options["port"], *range(sandbox_port, sandbox_port + len(EMULATED)))
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        with _children(self, data_dir, options["port"], sandbox_port) as children:
            self.stdout.write(_summary(options["port"], sandbox_port, data_dir))
            self.stdout.flush()
            _wait(children)
        self.stdout.write("Stopped. The data stays; run again to go on.")


@contextlib.contextmanager
def _children(command: BaseCommand, data_dir: Path, port: int, sandbox_port: int) -> Iterator[list[Any]]:
    """Start sandbox, web and worker; end what was started, whatever happens."""
    children: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        base = f"http://127.0.0.1:{port}"
        children.append(
            _start(
                "-m",
                "project.sandbox",
                "--port",
                str(sandbox_port),
                "--data-dir",
                str(data_dir / "sandbox"),
                "--app-redirect-base",
                base,
            )
        )
        _prepare(_announced(data_dir / "sandbox" / "sandbox.json", children[0]), data_dir)
        children.append(_start(*web_words(port)))
        children.append(_start("manage.py", "worker", "--verbosity", "0"))
        _wait_until_it_answers(port, children)
        yield children
    except KeyboardInterrupt:
        pass
    finally:
        _stop(children)


def web_words(port: int) -> tuple[str, ...]:
    """What to say to Python so that it becomes the web process."""
    return (
        *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--blocking-threads", "4", "--no-ws", "--log-level", "warning"),
        "project.wsgi:application",
    )


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _start(*words: str) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only this process, which ends the others in order.
    return subprocess.Popen([sys.executable, *words], cwd=settings.BASE_DIR, start_new_session=True)  # noqa: S603  # fixed words


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in reversed(children):
        child.terminate()
    for child in children:
        try:
            child.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(children: list[subprocess.Popen[bytes]]) -> None:
    while all(child.poll() is None for child in children):
        time.sleep(0.5)
    raise CommandError("One of the processes ended by itself; see its messages above.")


def _refuse_busy(*ports: int) -> None:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} is taken. Choose others: make run PORT=8010 SANDBOX_PORT=8950"
                ) from error


def _announced(path: Path, sandbox: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the sandbox says of its hosts, once it is ready."""
    deadline = time.monotonic() + _SANDBOX_SECONDS
    while time.monotonic() < deadline and sandbox.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            said: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if said.get("pid") == sandbox.pid:
                return said
        time.sleep(0.1)
    raise CommandError("The sandbox did not start; see its messages above.")


def _wait_until_it_answers(port: int, children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _SANDBOX_SECONDS
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise CommandError("The web process did not start; see its messages above.")


def _prepare(announced: dict[str, Any], data_dir: Path) -> None:
    for slug, emulated in announced["hosts"].items():
        hosts.add_host(
            actor=_ACTOR,
            slug=slug,
            provider=emulated["provider"],
            name=f"{emulated['title']} (emulated)",
            web_url=emulated["web_url"],
            api_url=emulated["api_url"],
            client_id=emulated["client_id"],
            client_secret=Secret(emulated["client_secret"]) if emulated["client_secret"] else None,
            allow_private_network=True,
        )
    if not User.objects.exists():
        demo_people.create()
    if not ServiceClient.objects.exists():
        _, key = clients.create(actor=_ACTOR, name="demo", scopes=Scope.values)
        path = data_dir / "demo-service.key"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.reveal())


def _summary(port: int, sandbox_port: int, data_dir: Path) -> str:
    return f"""
Forgekey is running at   http://127.0.0.1:{port}/
Its administration at    http://127.0.0.1:{port}/admin/
Emulated Git hosts       http://127.0.0.1:{sandbox_port}/ and the next ports; switches at /_sandbox/

Sign in as alice, bob or charlie (users), audrey (auditor), olivia (operator) or admin;
the password is the name followed by -demo. At the emulated hosts you are octo-alice or octo-bob.
The service key is in {data_dir / "demo-service.key"}. Ctrl-C ends everything; the data stays.
"""

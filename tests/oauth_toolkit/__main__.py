"""Starts the provider: ``python -m tests.oauth_toolkit --data-dir DIR [--port 0] [--stop-with-stdin]``."""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

# Below the range from which outgoing connections get their ports.
FREE_PORTS = range(20_000, 32_000)
REDIRECT_URI = "http://127.0.0.1:8000/connect/gitlab/callback/"


class Handler(WSGIRequestHandler):
    """Tells the application its connection, so that an answer can be lost, and writes no log."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "tests.connection": self.connection}

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadedWSGIServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is its own affair."""


def _bound(port: int) -> Server:
    for candidate in [port] if port else random.sample(FREE_PORTS, 200):
        try:
            return Server(("127.0.0.1", candidate), Handler)
        except OSError:
            continue
    raise OSError("no free port was found")


def _announce(folder: Path, server: Server, secret: str, client_id: str) -> None:
    facts = {
        "web_url": f"http://127.0.0.1:{server.server_port}",
        "api_url": f"http://127.0.0.1:{server.server_port}/api/v4",
        "client_id": client_id,
        "client_secret": secret,
        "redirect_uri": REDIRECT_URI,
    }
    draft = folder / "toolkit.draft"
    draft.touch(0o600)
    draft.write_text(json.dumps(facts), encoding="utf-8")
    draft.replace(folder / "toolkit.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.oauth_toolkit")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stop-with-stdin", action="store_true")
    options = parser.parse_args()
    os.environ["TOOLKIT_DATA_DIR"] = str(options.data_dir)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.oauth_toolkit.settings"
    django.setup()
    call_command("migrate", verbosity=0)

    from oauth2_provider.models import Application  # noqa: PLC0415  only once the apps are loaded

    Application.objects.all().delete()
    secret = secrets.token_urlsafe(30)
    application = Application.objects.create(
        name="Forgekey",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=REDIRECT_URI,
        client_secret=secret,
        hash_client_secret=False,  # a slow hash for each call would be all that a measurement sees
    )
    server = _bound(options.port)
    server.set_app(get_wsgi_application())
    _announce(options.data_dir, server, secret, application.client_id)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if options.stop_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    server.serve_forever()


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

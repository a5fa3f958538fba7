"""How fast an emergency stop is: credentials quarantined and revoked a second, against a host on loopback.

python -m bench.panic [--credentials 10000]
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from bench import installation


class GitLab(BaseHTTPRequestHandler):
    """As much of GitLab as a revocation asks for: the token dies, and is refused from then on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    dead: ClassVar[set[str]] = set()

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def token(self) -> str:
        return str(self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization", ""))

    def do_DELETE(self) -> None:
        known = self.token() not in self.dead
        self.dead.add(self.token())
        self.answer(204 if known else 401)

    def do_GET(self) -> None:
        refused = self.token() in self.dead
        self.answer(401, b'{"message": "401 Unauthorized"}') if refused else self.answer(200, b"{}")

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitLab)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--credentials", type=int, default=10_000)
    options = parser.parse_args()
    with installation.fresh() as place, host() as url:
        import django  # noqa: PLC0415  # the environment is set by now

        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        _fill(url, options.credentials)
        print(place.database)
        began = time.monotonic()
        call_command("panic", all_hosts=True, yes=True, report=place.folder / "report.json")
        print(f"in all {time.monotonic() - began:.1f} s")


def _fill(url: str, count: int) -> None:
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.db import transaction  # noqa: PLC0415

    from credentials.crypto.secret import Secret  # noqa: PLC0415
    from credentials.models import Credential, Status  # noqa: PLC0415
    from credentials.providers.tokens import Kind  # noqa: PLC0415
    from credentials.services import hosts, vault  # noqa: PLC0415
    from credentials.services.audit import Actor  # noqa: PLC0415

    gitlab = hosts.add_host(
        actor=Actor.system("bench"),
        slug="gitlab",
        provider="gitlab",
        name="GitLab",
        web_url=url,
        api_url=f"{url}/api/v4",
        allow_private_network=True,
    )
    with transaction.atomic():
        owner = User.objects.create(username="alice")
        made = []
        vault.book_wraps(count)
        for number in range(count):
            token = Secret(f"glpat-{number:020}")
            one = Credential(
                owner=owner,
                host=gitlab,
                kind=Kind.PERSONAL_TOKEN,
                status=Status.VALID,
                key_id=vault.primary_key_id(),
            )
            one.access_envelope = vault.seal_booked(token, one.binding("access"))
            one.fingerprint = vault.fingerprint(token)
            made.append(one)
        Credential.objects.bulk_create(made, batch_size=500)


if __name__ == "__main__":
    main()

"""Receives Forgekey's webhooks: checks signature and time, drops repeats, and prints what happened.

Python's standard library only. The signing secret lies in a file, or in FORGEKEY_WEBHOOK_SECRET:

    python webhook_receiver.py --port 8095 --secret-file /etc/product/webhook-secret
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

TOLERANCE = 5 * 60  # seconds: an older message is a repeat by somebody who has read it
LARGEST = 1 << 20  # bytes
REMEMBERED = 10_000  # ids; keep them in your database, so that they outlive a restart


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str, *, now: float) -> bool:
    """Whether Forgekey signed exactly these bytes, and lately. Check this before you read anything else."""
    message_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not sent.isascii() or not sent.isdigit() or abs(now - int(sent)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{message_id}.{sent}.".encode() + body, hashlib.sha256).digest()
    for signature in headers.get("webhook-signature", "").split():
        version, _, given = signature.partition(",")
        try:
            if version == "v1" and hmac.compare_digest(base64.b64decode(given, validate=True), expected):
                return True
        except binascii.Error:
            continue
    return False


class Seen:
    """The ids of messages that were dealt with: the same one may arrive twice."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def is_new(self, message_id: str) -> bool:
        with self._lock:
            if message_id in self._ids:
                return False
            self._ids[message_id] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
            return True


def handle(told: Mapping[str, object]) -> None:
    """What your product does about it. Answer first and work afterwards: Forgekey waits 15 seconds."""
    print(json.dumps(told), flush=True)


def serve(port: int, secret: str) -> None:
    seen = Seen()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > LARGEST:
                self.close_connection = True
                return self.answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            body = self.rfile.read(int(length))
            # No other reason is given than this one: a forger learns nothing.
            if not is_genuine(self.headers, body, secret, now=time.time()):
                return self.answer(HTTPStatus.UNAUTHORIZED)
            self.answer(HTTPStatus.NO_CONTENT)
            if seen.is_new(self.headers["webhook-id"]):
                handle(json.loads(body))

        def answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            print(format % args, file=sys.stderr, flush=True)

    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8095)
    parser.add_argument("--secret-file", type=Path)
    asked = parser.parse_args()
    secret = (
        asked.secret_file.read_text().strip() if asked.secret_file else os.environ["FORGEKEY_WEBHOOK_SECRET"]
    )
    serve(asked.port, secret)


if __name__ == "__main__":
    main()

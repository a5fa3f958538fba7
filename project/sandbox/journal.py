"""What happened to a host and what is made to happen: the log of calls and the faults."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from project.sandbox.reasons import Reason
from project.sandbox.wire import Request, Response, html_response

MOST_CALLS = 20_000
QUOTAS = ("primary", "secondary")
SORRY = (
    "<!DOCTYPE html><html lang='en'><title>Unicorn!</title>"
    "<p>We had trouble answering in time. Please reload the page.</p></html>"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request as received. `query` holds names only and `token` is an id: never a value."""

    number: int
    at: float
    method: str
    path: str
    query: tuple[str, ...]
    auth: str
    user_agent: str
    status: int
    token: str | None


class CallLog:
    """The latest calls, oldest first, in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=MOST_CALLS)
        self._number = 0

    def add(self, request: Request, response: Response, *, at: float) -> None:
        with self._lock:
            self._number += 1
            self._calls.append(
                Call(
                    number=self._number,
                    at=at,
                    method=request.method,
                    path=request.path,
                    query=tuple(sorted(request.query)),
                    auth=request.authorization.scheme,
                    user_agent=request.header("User-Agent"),
                    status=response.status,
                    token=request.token.id if request.token else None,
                )
            )

    def since(self, number: int) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(call) for call in self._calls if call.number > number]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens instead of, or to, an answer.

    `latency_ms` delays it; `quota` (primary, secondary) answers that the allowance is spent; `html` sends a
    page where JSON is due; `status`, `headers` and `body` answer just that; `refuse` names a reason for which
    the token endpoint refuses, in the provider's words. With the others the request is worked on as usual, and
    what becomes of its answer is the fault: it is held for `answer_latency_ms`, breaks off in the middle with
    `cut`, or never comes with `lost`, whatever was done. It applies to paths that begin with `path_prefix`,
    `times` times, or for ever with 0.
    """

    path_prefix: str = "/"
    times: int = 0
    latency_ms: int = 0
    answer_latency_ms: int = 0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    quota: str = ""
    html: bool = False
    refuse: str = ""
    cut: bool = False
    lost: bool = False

    def __post_init__(self) -> None:
        if self.quota not in ("", *QUOTAS):
            raise ValueError(f"quota: one of {', '.join(QUOTAS)} is expected")
        if self.refuse not in ("", *Reason):
            raise ValueError(f"refuse: one of {', '.join(Reason)} is expected")
        if self.status and not 200 <= self.status <= 599:  # noqa: PLR2004  the range of final statuses
            raise ValueError("status: 200 to 599 is expected")

    @property
    def answers(self) -> bool:
        return bool(self.status or self.html or self.body)

    def response(self) -> Response:
        if self.html:
            return html_response(SORRY, status=self.status or 200)
        headers = (("Content-Type", self.content_type), *self.headers.items())
        return Response(status=self.status or 200, headers=headers, body=self.body.encode())

    def spoiled(self, response: Response) -> Response:
        """The answer with what becomes of it on its way."""
        return replace(response, cut=self.cut, lost=self.lost, delay=self.answer_latency_ms / 1000)


class Faults:
    """The faults set at a host; the first that matches a path is taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, path: str) -> Fault | None:
        with self._lock:
            for position, fault in enumerate(self._faults):
                if not path.startswith(fault.path_prefix):
                    continue
                if fault.times == 1:
                    del self._faults[position]
                elif fault.times > 1:
                    self._faults[position] = replace(fault, times=fault.times - 1)
                return fault
        return None


def wait(fault: Fault) -> None:
    time.sleep(fault.latency_ms / 1000)

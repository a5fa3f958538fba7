"""What came back from a host: how long it asks to wait, and that nothing of a body is shown by accident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from credentials.errors import ProviderUnreachable
from credentials.providers.answers import Answer, retry_after

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def answer(**values: object) -> Answer:
    known: dict[str, object] = {"method": "GET", "path": "/user", "status": 200, "headers": {}, **values}
    return Answer(**known)  # type: ignore[arg-type]  # a test says which field it is about


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "30"}, timedelta(seconds=30)),
        ({"Retry-After": " 30 "}, timedelta(seconds=30)),
        ({"Retry-After": "Tue, 24 Nov 2026 12:01:00 GMT"}, timedelta(minutes=1)),
        ({"Retry-After": "Tue, 24 Nov 2026 12:01:00 -0000"}, timedelta(minutes=1)),
        ({"X-RateLimit-Reset": str(EPOCH + 90)}, timedelta(seconds=90)),
        ({"RateLimit-Reset": str(EPOCH + 90)}, timedelta(seconds=90)),
        ({"Retry-After": "5", "X-RateLimit-Reset": str(EPOCH + 90)}, timedelta(seconds=5)),
        ({"Retry-After": "soon", "RateLimit-Reset": str(EPOCH + 90)}, timedelta(seconds=90)),
    ],
)
def test_the_wait_is_read_in_every_form_that_providers_send(headers: dict[str, str], wait: timedelta) -> None:
    assert retry_after(headers, NOW) == wait


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"},
        {"X-RateLimit-Reset": str(EPOCH - 10)},
    ],
)
def test_a_moment_that_has_passed_is_no_wait(headers: dict[str, str]) -> None:
    assert retry_after(headers, NOW) == timedelta(0)


@pytest.mark.parametrize("headers", [{"Retry-After": "999999999"}, {"X-RateLimit-Reset": "99999999999"}])
def test_at_most_a_day_is_believed(headers: dict[str, str]) -> None:
    assert retry_after(headers, NOW) == timedelta(days=1)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "٣٠", "9" * 40, "Tue, 99 Nov 2026 12:00:00 GMT"])
@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset", "RateLimit-Reset"])
def test_what_cannot_be_read_is_no_wait_at_all(name: str, text: str) -> None:
    assert retry_after({name: text}, NOW) is None


def test_a_body_that_was_no_json_is_an_outage_and_falsehood_is_an_answer() -> None:
    with pytest.raises(ProviderUnreachable, match="JSON") as error:
        answer(status=404).require_json()
    assert (error.value.status, error.value.evidence) == (404, "GET /user 404: no JSON")
    assert answer(json=[]).require_json() == []
    assert answer(json=False).require_json() is False


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (299, True), (300, False)])
def test_only_a_success_is_one(status: int, ok: bool) -> None:
    assert answer(status=status).ok is ok


def test_an_answer_shows_neither_headers_nor_body() -> None:
    shown = repr(answer(json={"email": "private@example.org"}, headers={"Set-Cookie": "private"}))
    assert "private" not in shown
    assert "/user" in shown

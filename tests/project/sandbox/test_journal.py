"""Faults are taken in order and so often; calls are kept without a value that could be a secret."""

from __future__ import annotations

import pytest

from project.sandbox.journal import CallLog, Fault, Faults
from project.sandbox.wire import text_response
from tests.project.sandbox.caller import basic
from tests.project.sandbox.test_wire import request


def test_a_fault_is_taken_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault(status=500, times=2))
    assert [faults.take("/") is not None for _ in range(3)] == [True, True, False]


def test_a_fault_without_a_number_stays() -> None:
    faults = Faults()
    faults.add(Fault(status=500))
    assert all(faults.take("/") for _ in range(5))
    faults.clear()
    assert faults.take("/") is None


def test_the_first_fault_whose_prefix_matches_is_taken() -> None:
    faults = Faults()
    faults.add(Fault(status=500, path_prefix="/api"))
    faults.add(Fault(status=503))
    taken = [faults.take(path) for path in ("/api/user", "/other")]
    assert [fault.status for fault in taken if fault] == [500, 503]


@pytest.mark.parametrize("wrong", [{"status": 99}, {"status": 600}, {"quota": "half"}, {"refuse": "mood"}])
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fault(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_fault_answers_its_own_status_headers_and_body() -> None:
    response = Fault(status=302, headers={"Location": "http://elsewhere/"}, body="{}").response()
    assert (response.status, response.header("Location"), response.body) == (302, "http://elsewhere/", b"{}")


def test_a_page_comes_with_200_unless_a_status_is_given() -> None:
    assert Fault(html=True).response().status == 200
    assert Fault(html=True, status=502).response().header("Content-Type") == "text/html; charset=utf-8"


def test_a_call_holds_no_value_of_the_query_and_no_credential() -> None:
    log = CallLog()
    log.add(request("/p?access_token=hush", headers=basic("octo", "secret")), text_response(""), at=1.0)
    (call,) = log.since(0)
    assert call["query"] == ("access_token",)
    assert call["auth"] == "basic"
    assert not {"hush", "secret", "octo"} & set(str(call).replace("'", " ").split())
    assert log.since(call["number"]) == []


def test_numbers_go_on_after_the_log_was_cleared() -> None:
    log = CallLog()
    for _ in range(2):
        log.add(request("/"), text_response(""), at=1.0)
    log.clear()
    log.add(request("/"), text_response(""), at=1.0)
    assert [call["number"] for call in log.since(0)] == [3]

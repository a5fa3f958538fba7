"""Requests taken apart, and paths found in the router's table."""

from __future__ import annotations

import gzip
import io
from email.message import Message

import pytest

from project.sandbox.wire import (
    MOST_BODY_BYTES,
    BadRequestError,
    Request,
    Response,
    Router,
    form_response,
    json_response,
    text_response,
    with_query,
)
from tests.project.sandbox.caller import basic


def request(
    target: str = "/", *, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None
) -> Request:
    message = Message()
    for name, value in (headers or {}).items():
        message[name] = value
    return Request(method=method, target=target, headers=message, stream=io.BytesIO(body))


def handler(request: Request, **arguments: str) -> Response:
    return text_response(str(sorted(arguments.items())))


def found(router: Router, method: str, path: str) -> dict[str, str] | None:
    answer = router.find(method, path)
    return answer[1] if answer else None


def test_an_encoded_slash_stays_inside_its_segment() -> None:
    router = Router()
    router.add("GET", "/projects/{key}", handler)
    assert found(router, "GET", "/projects/acme%2Fcases") == {"key": "acme/cases"}
    assert found(router, "GET", "/projects/acme/cases") is None


def test_a_starred_name_takes_all_that_remains_but_not_nothing() -> None:
    router = Router()
    router.add("GET", "/zip/{reference*}", handler)
    assert found(router, "GET", "/zip/refs/heads/dev") == {"reference": "refs/heads/dev"}
    assert found(router, "GET", "/zip/") is None


def test_a_trailing_slash_an_empty_segment_and_another_method_are_not_found() -> None:
    router = Router()
    router.add("GET POST", "/user/{name}", handler)
    assert found(router, "POST", "/user/a") == {"name": "a"}
    assert found(router, "GET", "/user/a/") is None
    assert found(router, "GET", "/user/") is None
    assert found(router, "DELETE", "/user/a") is None


def test_head_finds_what_get_finds() -> None:
    router = Router()
    router.add("GET", "/user", handler)
    assert found(router, "HEAD", "/user") == {}


@pytest.mark.parametrize(
    ("headers", "scheme", "username", "secret"),
    [
        ({}, "none", "", ""),
        (basic("octo", "a:b"), "basic", "octo", "a:b"),
        ({"Authorization": "Basic ???"}, "basic", "", ""),
        ({"Authorization": "bearer abc"}, "bearer", "", "abc"),
        ({"Authorization": "token abc"}, "token", "", "abc"),
        ({"Authorization": "Negotiate abc"}, "other", "", ""),
        ({"private-token": "abc"}, "private-token", "", "abc"),
    ],
)
def test_an_authorization_is_read_by_its_scheme(
    headers: dict[str, str], scheme: str, username: str, secret: str
) -> None:
    shown = request(headers=headers).authorization
    assert (shown.scheme, shown.username, shown.secret) == (scheme, username, secret)


def test_an_authorization_never_shows_its_secret() -> None:
    assert "hidden" not in repr(request(headers=basic("octo", "hidden")).authorization)


def test_a_form_and_a_json_object_give_the_same_fields() -> None:
    form = request(body=b"account=a&scopes%5B%5D=x&scopes%5B%5D=y", headers={"Content-Type": "x-form"})
    json = request(
        body=b'{"account": "a", "scopes": ["x", "y"]}', headers={"Content-Type": "application/json"}
    )
    assert form.fields() == json.fields() == {"account": "a", "scopes": ["x", "y"]}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        request(body=body, headers={"Content-Type": "application/json"}).fields()


def test_a_packed_body_is_unpacked() -> None:
    packed = request(body=gzip.compress(b"a=1"), headers={"Content-Encoding": "gzip"})
    assert packed.fields() == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"x" * (MOST_BODY_BYTES + 1), {}),
        (gzip.compress(b"x" * (MOST_BODY_BYTES + 1)), {"Content-Encoding": "gzip"}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_a_body_that_is_too_large_or_not_as_announced_is_refused(
    body: bytes, headers: dict[str, str]
) -> None:
    with pytest.raises(BadRequestError):
        request(body=body, headers=headers).body()


def test_a_cookie_is_found_by_name_and_a_broken_jar_is_empty() -> None:
    assert request(headers={"Cookie": "a=1; b=2"}).cookie("b") == "2"
    assert request(headers={"Cookie": "a=1"}).cookie("b") == ""
    assert request(headers={"Cookie": ";;=;"}).cookie("b") == ""


def test_headers_that_are_already_there_are_not_put_in_twice() -> None:
    response = json_response({}, headers=(("X-One", "1"),)).with_headers((("x-one", "2"), ("X-Two", "2")))
    assert [value for name, value in response.headers if name.lower() == "x-one"] == ["1"]
    assert response.header("x-two") == "2"


def test_a_form_answer_is_encoded_and_a_query_is_added_to_one_that_is_there() -> None:
    assert form_response({"scope": "a,b"}).body == b"scope=a%2Cb"
    assert with_query("http://x/?a=1", state="s p") == "http://x/?a=1&state=s%20p"
    assert with_query("http://x/", state="s") == "http://x/?state=s"

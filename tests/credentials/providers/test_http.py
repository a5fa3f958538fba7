"""The guarded door against servers that misbehave, over real sockets on loopback."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import (
    AddressForbidden,
    AddressInvalid,
    ProviderRateLimited,
    ProviderUnreachable,
)
from credentials.providers.http import Basic, Bearer, HeaderToken, path_segment
from tests.credentials.crypto.tracebacks import shown_by
from tests.credentials.providers.asking import NOW, door
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply

WORDS = ("ghp", "canary", "0123456789")


def token() -> Secret:
    """Put together here, so that no local variable of a test holds the text."""
    return Secret("_".join(WORDS))


# --- What is sent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "name", "start"),
    [
        (Bearer(token=token()), "Authorization", "Bearer ghp_"),
        (
            Basic(username="me@example.org", password=token()),
            "Authorization",
            "Basic bWVAZXhhbXBsZS5vcmc6Z2hw",
        ),
        (HeaderToken(name="PRIVATE-TOKEN", token=token()), "PRIVATE-TOKEN", "ghp_"),
    ],
)
def test_a_token_travels_in_its_header_only(
    auth: Bearer | Basic | HeaderToken, name: str, start: str
) -> None:
    with Server(lambda seen: json_reply({})) as server:
        door().request("GET", f"{server.url}/user", auth=auth, params={"page": 2})
    (seen,) = server.seen
    assert seen.headers[name].startswith(start)
    assert seen.path == "/user?page=2"
    assert seen.headers["User-Agent"] == "Forgekey"
    assert "_".join(WORDS) not in repr(auth)


def test_secrets_in_bodies_are_opened_only_for_the_request() -> None:
    with Server(lambda seen: json_reply({})) as server:
        door().request("POST", f"{server.url}/json", json={"credentials": [token()], "n": 1})
        door().request("POST", f"{server.url}/form", form={"token": token(), "client_id": "a&b"})
    as_json, as_form = server.seen
    assert json.loads(as_json.body) == {"credentials": ["_".join(WORDS)], "n": 1}
    assert as_form.body == b"token=ghp_canary_0123456789&client_id=a%26b"
    assert as_form.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_body_of_bytes_is_sent_as_it_is_with_the_callers_own_headers() -> None:
    body = b'{ "signed" :\t"byte by byte" }\n'
    with Server(lambda seen: json_reply({})) as server:
        door().request(
            "POST", server.url, body=body, headers={"Content-Type": "application/json", "x-id": "1"}
        )
    assert server.seen[0].body == body
    assert server.seen[0].headers["Content-Type"] == "application/json"
    assert server.seen[0].headers["x-id"] == "1"


def test_an_outage_that_says_how_long_it_lasts_is_believed() -> None:
    reply = Reply(status=503, headers={"Retry-After": "120"})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderUnreachable) as outage:
        door().request("GET", server.url)
    assert outage.value.retry_after == timedelta(minutes=2)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.org/x",
        "https://user:password@example.org/x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https://example.org/x#fragment",
        "https://example.org/a b",
        "https://example.org/a\r\nHost: evil",
        "https://example.org\\@evil.org/",
        "https://[::1/x",
        "https:///x",
        "//example.org/x",
        "https://exämple.org/x",
        "https://exa_mple.org/x",
        "",
    ],
)
def test_an_address_that_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(AddressInvalid):
        door().request("GET", url)


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_a_path_segment_may_not_climb(text: str) -> None:
    with pytest.raises(AddressInvalid):
        path_segment(text)


def test_a_path_segment_is_encoded_as_a_whole() -> None:
    assert path_segment("a/b?c#d%2f") == "a%2Fb%3Fc%23d%252f"


# --- Where it goes ------------------------------------------------------------------------------------


def test_loopback_is_refused_unless_the_host_allows_private_networks() -> None:
    with Server(lambda seen: json_reply({})) as server, pytest.raises(AddressForbidden):
        door(allow_private=False).request("GET", f"{server.url}/user", auth=Bearer(token=token()))
    assert server.seen == []
    assert server.connections == 0


def resolving_to(*ips: str) -> object:
    def resolver(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

    return resolver


def test_unencrypted_requests_never_leave_private_networks() -> None:
    with pytest.raises(AddressForbidden):
        door(resolver=resolving_to("8.8.8.8")).request("GET", "http://public.example/")


def test_the_connection_goes_to_the_checked_address_while_the_name_stays() -> None:
    with Server(lambda seen: json_reply({})) as server:
        asking = door(resolver=resolving_to("127.0.0.1"))
        asking.request("GET", f"http://git.example:{server.port}/user")
    assert server.seen[0].headers["Host"] == f"git.example:{server.port}"


def test_a_name_that_flips_between_check_and_connection_gains_nothing() -> None:
    asked: list[str] = []

    def flipping(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        ip = "127.0.0.1" if not asked else "169.254.169.254"
        asked.append(ip)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    with Server(lambda seen: json_reply({"ok": True})) as server:
        answer = door(resolver=flipping).request("GET", f"http://git.example:{server.port}/")
        assert answer.json == {"ok": True}
        assert asked == ["127.0.0.1"]
        with pytest.raises(AddressForbidden):
            door(resolver=flipping).request("GET", f"http://git.example:{server.port}/")
    assert len(server.seen) == 1


def test_the_next_address_is_tried_where_one_does_not_accept_connections() -> None:
    with Server(lambda seen: json_reply({})) as server:
        asking = door(resolver=resolving_to("127.0.0.2", "127.0.0.1"))
        assert asking.request("POST", f"http://git.example:{server.port}/").status == 200
    assert len(server.seen) == 1


def test_environment_proxies_and_netrc_are_not_consulted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password stolen\n")
    with Server(lambda seen: json_reply({})) as canary, Server(lambda seen: json_reply({})) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, canary.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("HOME", str(tmp_path))
        door().request("GET", f"{server.url}/user")
    assert canary.seen == []
    assert "Authorization" not in server.seen[0].headers


# --- What is believed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_the_token_does_not_follow_it(status: int) -> None:
    with Server(lambda seen: json_reply({})) as canary:
        away = Reply(status=status, headers={"Location": f"{canary.url}/steal"}, body=b"x" * 3_000_000)
        with Server(lambda seen: away) as server:
            answer = door().request("GET", f"{server.url}/user", auth=Bearer(token=token()))
    assert (answer.status, answer.ok) == (status, False)
    assert canary.seen == []
    assert canary.connections == 0


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_a_page_where_json_was_due_is_not_kept(status: int) -> None:
    with Server(lambda seen: html_reply(status)) as server:
        answer = door().request("GET", f"{server.url}/user")
    assert answer.json is None
    assert "private page" not in repr(answer)
    with pytest.raises(ProviderUnreachable) as caught:
        answer.require_json()
    assert caught.value.evidence == f"GET /user {status}: no JSON"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"[" * 200_000,
        b"1" * 50_000,
        b"\xff\xfe\x00",
        b"<html>",
        b'{"a": 1} trailing',
    ],
)
def test_what_is_no_json_counts_as_none(body: bytes) -> None:
    reply = Reply(headers={"Content-Type": "application/json"}, body=body)
    with Server(lambda seen: reply) as server:
        assert door().request("GET", f"{server.url}/x").json is None


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_server_error_is_an_outage_and_no_answer(status: int) -> None:
    with (
        Server(lambda seen: json_reply({"message": "Bad credentials"}, status)) as server,
        pytest.raises(ProviderUnreachable) as caught,
    ):
        door().request("GET", f"{server.url}/user?page=7")
    assert caught.value.status == status
    assert caught.value.evidence == f"GET /user {status}"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "17"}, timedelta(seconds=17)),
        ({"Retry-After": "Tue, 24 Nov 2026 12:01:30 GMT"}, timedelta(seconds=90)),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, timedelta(0)),
        ({"Retry-After": "999999999"}, timedelta(days=1)),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 60)}, timedelta(seconds=60)),
        ({"RateLimit-Reset": str(int(NOW.timestamp()) + 30)}, timedelta(seconds=30)),
        ({"Retry-After": "5", "X-RateLimit-Reset": "99999999999"}, timedelta(seconds=5)),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_a_spent_quota_says_how_long_to_wait(headers: dict[str, str], wait: timedelta | None) -> None:
    with (
        Server(lambda seen: Reply(status=429, headers=headers)) as server,
        pytest.raises(ProviderRateLimited) as caught,
    ):
        door(now=lambda: NOW).request("GET", f"{server.url}/user")
    assert caught.value.retry_after == wait


def test_cookies_are_neither_kept_nor_shown() -> None:
    with Server(lambda seen: json_reply({}, Set_Cookie="session=abc; Path=/")) as server:
        asking = door()
        answer = asking.request("GET", f"{server.url}/one")
        asking.request("GET", f"{server.url}/two")
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in server.seen[1].headers


def test_header_names_are_read_whatever_their_case() -> None:
    with Server(lambda seen: json_reply({}, X_OAUTH_SCOPES="repo")) as server:
        assert door().request("GET", server.url).headers["x-oauth-scopes"] == "repo"


# --- Silence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [False, True])
def test_no_report_with_all_its_variables_shows_a_token_in_our_frames(cut: bool) -> None:
    with (
        Server(lambda seen: [] if cut else json_reply({}, 500)) as server,
        pytest.raises(ProviderUnreachable) as caught,
    ):
        door().request(
            "POST",
            f"{server.url}/user",
            auth=Basic(username="a@b.c", password=token()),
            form={"token": token()},
        )
    shown = shown_by(caught.value)
    assert "POST /user" in shown
    assert "_".join(WORDS) not in shown
    assert "YUBiLmM6" not in shown  # the beginning of the Basic pair
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_evidence_and_message_carry_no_query() -> None:
    with Server(lambda seen: []) as server, pytest.raises(ProviderUnreachable) as caught:
        door().request("GET", f"{server.url}/search", params={"q": "private-search"})
    assert "private-search" not in f"{caught.value!r} {caught.value.evidence}"


def test_headers_cut_short_leave_an_answer_that_proves_nothing() -> None:
    raw = [b"HTTP/1.1 200 OK\r\n", b"Content-Type: application/json\r\n"]
    with Server(lambda seen: raw) as server:
        assert door().request("GET", server.url).json is None

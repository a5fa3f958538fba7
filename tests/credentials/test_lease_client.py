from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from credentials.errors import ConfigurationError, ForgekeyError, InputInvalid, KeySourceUnsafe, RequestError
from credentials.lease_client import LeaseClient, plain, read_address, read_origin, read_settings
from tests.credentials.lease_api import (
    KEY,
    LEASE_ID,
    TOKEN,
    LeaseApi,
    Said,
    in_an_hour,
    lease,
    lease_api,
    problem,
)

REPOSITORY = "https://github.example/acme/cases.git"


@pytest.fixture
def api() -> Iterator[LeaseApi]:
    with lease_api() as listening:
        yield listening


@pytest.fixture
def client(api: LeaseApi) -> Iterator[LeaseClient]:
    with requests.Session() as session:
        yield LeaseClient(read_settings(environment(api.url)), session)


@pytest.fixture
def service_key_file(tmp_path: Path) -> Path:
    path = tmp_path / "service.key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def environment(url: str, **changes: str) -> dict[str, str]:
    return {"FORGEKEY_URL": url, "FORGEKEY_KEY": KEY, "FORGEKEY_USER": "alice"} | changes


def refused(client: LeaseClient) -> str:
    with pytest.raises(ForgekeyError) as caught:
        client.lend(REPOSITORY)
    assert KEY not in repr(caught.value)
    assert TOKEN not in repr(caught.value)
    return str(caught.value)


# Addresses


@pytest.mark.parametrize(
    ("scheme", "authority", "url"),
    [
        ("https", "GitHub.example", "https://github.example"),
        ("https", "github.example:443", "https://github.example"),
        ("https", "github.example:8443", "https://github.example:8443"),
        ("https", "[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
        ("http", "127.0.0.1:8900", "http://127.0.0.1:8900"),
        ("http", "[::1]:8900", "http://[::1]:8900"),
        ("http", "localhost", "http://localhost"),
    ],
)
def test_two_spellings_of_one_origin_are_one(scheme: str, authority: str, url: str) -> None:
    assert read_origin(scheme, authority).url == url


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "github.example\tx",
        "github.example/evil",
        "github.example@evil.example",
        "evil.example#github.example",
        "evil.example?",
        "github.example\\evil",
        "github.example:",
        "github.example:0",
        "github.example:65536",
        "github.example:443:443",
        "github.example%0aevil.example",
        "github.example\n",
        "g\u0131thub.example",
        "①②⑦.⓪.⓪.①",
        "-oProxyCommand=x",
        ".example",
        "[::1",
        "::1",
        "[fe80::1%eth0]",
        "[12345::1]",
    ],
)
def test_what_is_not_plainly_a_host_is_refused(authority: str) -> None:
    with pytest.raises(InputInvalid):
        read_origin("https", authority)


@pytest.mark.parametrize(
    "authority",
    ["github.example", "10.0.0.1", "127.0.0.1.example", "localhost.example", "0x7f.1", "127.1", "[::2]"],
)
def test_plain_http_is_for_loopback_only(authority: str) -> None:
    with pytest.raises(InputInvalid, match="plain http"):
        read_origin("http", authority)


@pytest.mark.parametrize("scheme", ["ssh", "cert", "ext::sh", "file", "HTTPS", ""])
def test_no_other_scheme_is_answered(scheme: str) -> None:
    with pytest.raises(InputInvalid):
        read_origin(scheme, "github.example")


@pytest.mark.parametrize(
    "address",
    [
        "github.example/a",
        "https:///a",
        "https://a:b@github.example/",
        "https://github.example?x",
        " https://x",
    ],
)
def test_an_address_with_anything_beside_host_and_path_is_refused(address: str) -> None:
    with pytest.raises(InputInvalid):
        read_address(address)


# Settings


@pytest.mark.parametrize("name", ["FORGEKEY_URL", "FORGEKEY_USER"])
def test_a_missing_setting_is_named(name: str) -> None:
    environ = environment("https://forgekey.example")
    del environ[name]

    with pytest.raises(ConfigurationError, match=name):
        read_settings(environ)


@pytest.mark.parametrize(
    "url", ["http://forgekey.example", "forgekey.example", "https://k@forgekey.example/"]
)
def test_forgekey_is_asked_over_https_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="FORGEKEY_URL"):
        read_settings(environment(url))


def test_forgekey_may_live_below_a_path() -> None:
    assert read_settings(environment("https://Tools.example/keys/")).url == "https://tools.example/keys"


def test_the_settings_do_not_show_the_key() -> None:
    assert KEY not in repr(read_settings(environment("https://forgekey.example")))


def test_the_key_file_wins_over_the_variable(service_key_file: Path) -> None:
    environ = environment(
        "https://forgekey.example", FORGEKEY_KEY="", FORGEKEY_KEY_FILE=str(service_key_file)
    )

    assert read_settings(environ).key == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o610])
def test_a_key_file_open_to_others_is_refused(service_key_file: Path, mode: int) -> None:
    service_key_file.chmod(mode)

    with pytest.raises(KeySourceUnsafe, match="0600"):
        read_settings(environment("https://forgekey.example", FORGEKEY_KEY_FILE=str(service_key_file)))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_file_behind_a_symbolic_link_is_read(
    service_key_file: Path, tmp_path: Path, mode: int
) -> None:
    service_key_file.chmod(mode)
    link = tmp_path / "link"
    link.symlink_to(service_key_file)

    assert read_settings(environment("https://forgekey.example", FORGEKEY_KEY_FILE=str(link))).key == KEY


def test_a_pipe_or_a_folder_is_no_key_file_and_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)

    for name in ("pipe", "folder"):
        with pytest.raises(KeySourceUnsafe):
            read_settings(environment("https://forgekey.example", FORGEKEY_KEY_FILE=str(tmp_path / name)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_somebody_else_is_refused(service_key_file: Path) -> None:
    os.chown(service_key_file, 65534, 65534)

    with pytest.raises(KeySourceUnsafe, match="belongs"):
        read_settings(environment("https://forgekey.example", FORGEKEY_KEY_FILE=str(service_key_file)))


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN OPENSSH PRIVATE KEY-----", f"{KEY}\r\nX-Other: 1", f"{KEY}é"]
)
def test_a_file_without_a_service_key_is_refused_and_not_quoted(service_key_file: Path, text: str) -> None:
    service_key_file.write_text(text)

    with pytest.raises(ConfigurationError, match="holds no Forgekey service key") as caught:
        read_settings(environment("https://forgekey.example", FORGEKEY_KEY_FILE=str(service_key_file)))
    assert not text or text not in str(caught.value)


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="FORGEKEY_CA_FILE"):
        read_settings(environment("https://forgekey.example", FORGEKEY_CA_FILE="/nonexistent.pem"))


# Lending


def test_a_lease_is_asked_for_by_user_address_and_purpose(api: LeaseApi, client: LeaseClient) -> None:
    answer = client.lend(REPOSITORY)

    (call,) = api.calls
    assert (call.path, call.headers["accept-encoding"]) == ("/api/v1/leases/", "identity")
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert call.body == {"user": "alice", "repository_url": REPOSITORY, "purpose": "git"}
    assert (answer.lease_id, answer.username, answer.password) == (LEASE_ID, "x-access-token", TOKEN)
    assert TOKEN not in repr(answer)


def test_the_earlier_of_the_two_ends_counts(api: LeaseApi, client: LeaseClient) -> None:
    end = in_an_hour()
    early, late = (end + timedelta(minutes=minutes) for minutes in (-30, 30))

    for token_end, lease_end in ((early, late), (late, early), (None, early)):
        expires_at = token_end.astimezone(UTC).isoformat() if token_end else None
        api.says(lease(REPOSITORY, expires_at=expires_at, lease_expires_at=lease_end.isoformat()))
        assert client.lend(REPOSITORY).ends == int(early.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../../users"},
        {"id": 7},
        {"username": None},
        {"password": ["x"]},
        {"password": "\ud800"},
        {"lease_expires_at": None},
        {"lease_expires_at": "soon"},
        {"lease_expires_at": datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None).isoformat()},
        {"expires_at": 12},
        {"repository_url": "https://x@github.example/"},
        {"repository_url": None},
    ],
)
def test_an_answer_that_breaks_the_contract_is_not_used(
    api: LeaseApi, client: LeaseClient, changes: dict[str, object]
) -> None:
    api.says(lease(**({"repository_url": REPOSITORY} | changes)))

    assert "not a lease" in refused(client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_does_not_follow_a_redirect(api: LeaseApi, client: LeaseClient, status: int) -> None:
    with lease_api() as other:
        api.says(Said(status=status, headers={"Location": f"{other.url}/api/v1/leases/"}))

        assert "redirect" in refused(client)
        assert other.calls == []
    assert len(api.calls) == 1


def test_neither_a_proxy_nor_a_netrc_of_the_environment_sees_the_key(
    api: LeaseApi, client: LeaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with lease_api() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("all_proxy", proxy.url)

        client.lend(REPOSITORY)

        assert proxy.calls == []
    assert api.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_verdict_is_told_in_its_own_words_with_its_first_step(api: LeaseApi, client: LeaseClient) -> None:
    steps = [
        {"text": "Request access for assxxx.", "url": "https://github.example/settings"},
        {"text": "Ask an owner of assxxx."},
    ]
    verdict = {
        "code": "organization_not_approved",
        "summary": "assxxx has not approved this app.",
        "steps": steps,
    }
    api.says(problem(422, title="No usable credential", verdict=verdict))

    assert refused(client) == (
        "assxxx has not approved this app.\nRequest access for assxxx. https://github.example/settings"
    )


@pytest.mark.parametrize("steps", [None, [], "x", [None], [{"text": None}]])
def test_a_verdict_without_steps_is_told_all_the_same(
    api: LeaseApi, client: LeaseClient, steps: object
) -> None:
    api.says(problem(422, verdict={"summary": "Waiting.", "steps": steps}))

    assert refused(client) == "Waiting."


def test_what_a_server_says_cannot_steer_the_terminal(api: LeaseApi, client: LeaseClient) -> None:
    hostile = "".join(map(chr, range(0xA0))) + "\u202e\u2028\u200b" + "z" * 10_000
    api.says(problem(422, verdict={"summary": hostile, "steps": [{"text": hostile, "url": "\x1b]0;x\x07"}]}))

    said = refused(client)

    assert all(line.isprintable() for line in said.split("\n"))
    assert len(said) < 1000


def test_plain_keeps_what_people_write() -> None:
    assert plain("组织尚未批准 é\n\tok") == "组织尚未批准 é ok"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (problem(401, title="No"), "does not accept this service key"),
        (problem(403, detail="The scope credentials:lend is missing."), "credentials:lend is missing"),
        (problem(404), "Is FORGEKEY_URL right"),
        (Said(status=503, headers={"Retry-After": "30"}), "try again in 30 seconds"),
        (Said(status=503, headers={"Retry-After": "30; rm -rf"}), "try again later"),
        (Said(status=429, headers={"Retry-After": "5"}), "try again in 5 seconds"),
        (Said(status=500, body=b"<html>" + TOKEN.encode()), "status 500"),
        (Said(status=200, body={"dry_run": True}), "status 200"),
        (Said(status=201, body=b"<html>"), "not a lease"),
        (Said(status=201, body=b"[" * 100_000), "not a lease"),
        (Said(status=201, body=b'"' + b"x" * 1_000_000 + b'"'), "too long"),
        (
            Said(status=201, body=gzip.compress(b" " * 9_000_000), headers={"Content-Encoding": "gzip"}),
            "too long",
        ),
        (Said(status=201, body=b"no gzip", headers={"Content-Encoding": "gzip"}), "cannot be reached"),
    ],
)
def test_every_other_answer_lends_nothing_and_says_why(
    api: LeaseApi, client: LeaseClient, said: Said, words: str
) -> None:
    api.says(said)

    assert words in refused(client)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://a..b"])
def test_an_unreachable_forgekey_is_said_without_the_key(url: str) -> None:
    with requests.Session() as session:
        assert "cannot be reached" in refused(LeaseClient(read_settings(environment(url)), session))


def test_a_server_that_does_not_speak_tls_is_not_talked_to(api: LeaseApi) -> None:
    with requests.Session() as session:
        client = LeaseClient(read_settings(environment(api.url.replace("http:", "https:"))), session)

        assert "TLS" in refused(client)
    assert api.calls == []


def test_a_report_carries_the_outcome_and_takes_any_success(api: LeaseApi, client: LeaseClient) -> None:
    for status in (200, 202, 204):
        api.says(Said(status=status, body=b""))
        client.report(LEASE_ID, "rejected")

    assert {call.path for call in api.calls} == {f"/api/v1/leases/{LEASE_ID}/report/"}
    assert all(call.body == {"outcome": "rejected"} for call in api.calls)


def test_a_report_that_is_refused_raises(api: LeaseApi, client: LeaseClient) -> None:
    api.says(problem(404, detail="No such lease."))

    with pytest.raises(RequestError, match="No such lease"):
        client.report(LEASE_ID, "accepted")

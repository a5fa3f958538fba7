"""Git against hosts that want the token elsewhere, or say it aloud."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.errors import (
    AccessRefused,
    AddressForbidden,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.sources import git
from credentials.sources.git import Remote, invocation
from tests.certificates import self_signed
from tests.credentials.providers.loopback import Reply, Script, Seen, Server
from tests.credentials.sources.git_server import (
    BASIC,
    CHALLENGE,
    COMMIT,
    PATH,
    TOKEN,
    ask,
    credentials_in,
    is_signed_in,
    login,
    private,
    refusal,
    v2_advertisement,
    v2_refs,
)

ROOT = Path(__file__).resolve().parents[4]
STATUSES = (301, 302, 303, 307, 308)


def test_the_servers_of_these_tests_are_hosts_that_git_understands() -> None:
    with Server(private()) as server:
        found = ask(server)
    assert found.default_branch == "main"
    assert found.refs == {"refs/heads/main": COMMIT}
    assert [is_signed_in(seen) for seen in server.seen] == [False, True, True]


# --- Redirects ----------------------------------------------------------------------------------------


def redirect_to(url: str, status: int) -> Reply:
    return Reply(status=status, headers={"Location": url})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("moment", ["first", "signed in", "post"])
@pytest.mark.parametrize("where", ["port", "host", "scheme", "same"])
def test_no_redirect_is_followed_at_any_moment(status: int, moment: str, where: str) -> None:
    with Server(private()) as other:
        targets = {
            "port": f"{other.url}{PATH}",
            "host": f"http://localhost:{other.port}{PATH}",
            "scheme": f"https://127.0.0.1:{other.port}{PATH}",
        }

        def leading_away(seen: Seen) -> Reply:
            target = targets.get(where, f"http://{seen.headers['Host']}/elsewhere.git")
            return redirect_to(f"{target}{seen.path.removeprefix(PATH)}", status)

        scripts: dict[str, Script] = {
            "first": leading_away,
            "signed in": private(get=leading_away),
            "post": private(post=leading_away),
        }
        with Server(scripts[moment]) as server, pytest.raises(ProviderError) as caught:
            ask(server)
    assert type(caught.value) is ProviderAnswerUnexpected
    assert caught.value.evidence == f"git ls-remote {status}"
    assert other.connections == 0
    assert all(seen.path.startswith(PATH) for seen in server.seen)


def test_a_redirect_to_a_host_that_asks_for_credentials_does_not_get_them() -> None:
    with Server(lambda seen: CHALLENGE) as other:
        away = redirect_to(f"{other.url}{PATH}/info/refs?service=git-upload-pack", 302)
        with Server(lambda seen: away) as server, pytest.raises(ProviderAnswerUnexpected):
            ask(server)
    assert other.connections == 0
    assert not any(credentials_in(seen.headers) for seen in server.seen)


# --- Asking for the credential ------------------------------------------------------------------------


def test_a_host_that_never_stops_asking_gets_the_credential_once() -> None:
    with Server(lambda seen: CHALLENGE) as server, pytest.raises(TokenRejected):
        ask(server)
    assert [credentials_in(seen.headers) for seen in server.seen] == [False, True]


def test_a_host_that_asks_again_later_gets_no_second_answer() -> None:
    with Server(private(post=CHALLENGE)) as server, pytest.raises(TokenRejected) as caught:
        ask(server)
    assert caught.value.evidence == "git ls-remote 401"
    assert [seen.method for seen in server.seen][:3] == ["GET", "GET", "POST"]
    assert len(server.seen) <= 4


def test_a_host_that_asks_nobody_learns_nothing() -> None:
    public = {"GET": v2_advertisement(), "POST": v2_refs()}
    with Server(lambda seen: public[seen.method]) as server:
        assert ask(server).default_branch == "main"
    assert not any(credentials_in(seen.headers) for seen in server.seen)


def test_nobody_has_no_credential_to_give() -> None:
    with Server(private()) as server, pytest.raises(AccessRefused):
        ask(server, anonymous=True)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="a\rhost=evil.example"', 'Basic realm="\x1b[2J"', "Negotiate", "NTLM", "Bearer",
        'Digest realm="a", nonce="b", qop="auth", algorithm=MD5', 'Basic realm="' + "x" * 30_000 + '"',
    ],
)  # fmt: skip
def test_an_odd_challenge_gets_the_token_in_no_other_way(challenge: str) -> None:
    reply = Reply(status=401, headers={"WWW-Authenticate": challenge})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderError):
        ask(server)
    assert len(server.seen) <= 4
    for seen in server.seen:
        shown = seen.headers.get("Authorization", "")
        assert TOKEN not in shown
        assert not shown.startswith("Basic") or challenge.startswith("Basic")


# --- What the environment would like git to do --------------------------------------------------------


def test_nothing_around_leads_git_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda seen: CHALLENGE) as other, Server(private()) as server:
        evil = tmp_path / "evil"
        config = (
            f'[url "{other.url}/"]\n insteadOf = {server.url}/\n[http]\n proxy = {other.url}\n'
            f" extraHeader = X-Evil: 1\n[credential]\n helper = !touch {evil}; echo\n[core]\n"
            f" askPass = touch {evil}\n fsmonitor = touch {evil}\n"
        )
        (tmp_path / ".gitconfig").write_text(config)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
        (tmp_path / ".git" / "config").write_text(config)
        monkeypatch.chdir(tmp_path)
        for name, value in {
            "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "GIT_DIR": str(tmp_path / ".git"),
            "GIT_CONFIG_GLOBAL": str(tmp_path / ".gitconfig"), "GIT_ASKPASS": f"touch {evil}",
            "SSH_ASKPASS": f"touch {evil}", "http_proxy": other.url, "ALL_PROXY": other.url,
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.proxy", "GIT_CONFIG_VALUE_0": other.url,
            "GIT_TRACE_CURL": str(evil), "GIT_EXEC_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path),
            "GIT_PROXY_COMMAND": f"touch {evil}", "LD_PRELOAD": "",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        (tmp_path / "_thread.py").write_text(f"open({str(evil)!r}, 'w')\n")
        (tmp_path / "fcntl.py").write_text(f"open({str(evil)!r}, 'w')\n")
        assert ask(server).default_branch == "main"
    assert other.connections == 0
    assert not evil.exists()
    assert not any("X-Evil" in seen.headers for seen in server.seen)


def test_a_repository_git_stands_in_is_not_read(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".git" / "config").write_text('[url "http://127.0.0.1:1/"]\n insteadOf = https://\n')

    def settings(environment: dict[str, str] | None) -> bytes:
        command = ["git", "config", "--list"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True).stdout

    assert b"insteadof" in settings(None)
    assert settings(invocation.environment(invocation.program(), "https")) == b""


# --- Where it connects --------------------------------------------------------------------------------


def to(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    def resolver(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolver


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("::1", "127.0.0.1"), ("127.0.0.9", "127.0.0.1")])
def test_git_goes_to_the_addresses_that_were_checked(addresses: tuple[str, ...]) -> None:
    with Server(private()) as server:
        remote = Remote(url=f"http://git.example:{server.port}{PATH}", allow_private=True)
        found = git.ls_remote(remote, login=login(), resolver=to(*addresses))
    assert found.default_branch == "main"
    assert server.seen[0].headers["Host"] == f"git.example:{server.port}"


def test_a_name_that_points_inside_is_refused_before_git_runs() -> None:
    with Server(private()) as server:
        remote = Remote(url=f"https://git.example:{server.port}{PATH}")
        with pytest.raises(AddressForbidden):
            git.ls_remote(remote, login=login(), resolver=to("140.82.112.3", "127.0.0.1"))
    assert server.connections == 0


def test_a_name_that_does_not_resolve_is_an_outage() -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        git.ls_remote(Remote(url="https://git.example/a/b"), login=login(), resolver=to())
    assert caught.value.evidence == "name lookup failed"


def test_a_closed_port_is_an_outage() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderUnreachable) as caught:
            ask(f"http://127.0.0.1:{reserved.getsockname()[1]}{PATH}")
    assert caught.value.evidence == "git ls-remote: connection failed"


def test_tls_is_verified_by_name_and_authority(tmp_path: Path) -> None:
    bundle = self_signed(tmp_path, "git.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    with Server(private(), tls=context) as server:

        def asked(name: str, ca_bundle: str | None) -> str:
            remote = Remote(
                url=f"https://{name}:{server.port}{PATH}", allow_private=True, ca_bundle=ca_bundle
            )
            return git.ls_remote(remote, login=login(), resolver=to("127.0.0.1")).default_branch

        assert asked("git.example", str(bundle)) == "main"
        before = len(server.seen)
        for name, ca_bundle in (("other.example", str(bundle)), ("git.example", None)):
            with pytest.raises(ProviderUnreachable) as caught:
                asked(name, ca_bundle)
            assert caught.value.evidence == "git ls-remote: no trusted TLS connection"
    assert len(server.seen) == before


# --- What hosts say -----------------------------------------------------------------------------------

SPELLINGS = {
    "plain": TOKEN,
    "upper case": TOKEN.upper(),
    "base64 of the pair": BASIC,
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64, one later": base64.b64encode(f"x{TOKEN}y".encode()).decode(),
    "base64, two later": base64.b64encode(f"xx{TOKEN}yy".encode()).decode(),
    "hexadecimal": TOKEN.encode().hex(),
    "in an address": f"https://{TOKEN}@git.example/",
    "torn by a control character": f"{TOKEN[:9]}\x00\x7f{TOKEN[9:]}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_a_host_says_of_the_token_is_in_no_error(spelling: str) -> None:
    said = SPELLINGS[spelling]

    def echo(seen: Seen) -> Reply:
        own = f"http://{seen.headers['Host']}/sso?token={said}"
        return refusal(f"Cannot find valid SSO session. Go to {own}\n\x1b[2J\x9b31m{said}\r{said}\n")

    with Server(private(get=echo)) as server, pytest.raises(AccessRefused) as caught:
        ask(server)
    shown = repr([caught.value, caught.value.args, vars(caught.value)])
    assert caught.value.url.startswith(server.url)
    assert all(part not in shown for part in (TOKEN, TOKEN[9:], BASIC, "\x1b", "\\x1b"))
    assert said not in shown


def test_an_address_elsewhere_is_no_page_to_send_people_to() -> None:
    for address in ("https://evil.example/sso", "http://127.0.0.1:1/sso", "javascript:alert(1)"):
        reply = refusal(f"Cannot find valid SSO session. Go to {address}\n")
        with Server(private(get=reply)) as server, pytest.raises(AccessRefused) as caught:
            ask(server)
        assert caught.value.url == ""


def test_a_long_speech_hides_neither_the_status_nor_the_beginning() -> None:
    words = "Write access to repository not granted.\n" + "bla bla\n" * 20_000
    with Server(private(get=refusal(words))) as server, pytest.raises(ProviderError) as caught:
        ask(server)
    assert caught.value.status == 403
    assert caught.value.evidence == "git ls-remote 403: write access to repository not granted"


def test_words_that_look_like_gits_own_are_the_hosts() -> None:
    words = "\rfatal: unable to access 'x': The requested URL returned error: 503\nfatal: no\n"
    with Server(private(get=refusal(words, status=404))) as server, pytest.raises(AccessRefused) as caught:
        ask(server)
    assert caught.value.status == 404

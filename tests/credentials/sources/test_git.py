"""Real git against the sandbox's real repositories, through the one place that runs it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    AddressError,
    AddressForbidden,
    AddressInvalid,
    ConfigurationError,
    ForgekeyError,
    InputInvalid,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.facts import GitLogin
from credentials.providers.tokens import Kind
from credentials.sources import child, git
from credentials.sources.child import Limits
from credentials.sources.git import Remote, RemoteRefs
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import login_in, provider_in
from tests.credentials.sources.git_server import TOKEN, login
from tests.sandbox import RunningSandbox

HOSTS = ["github", "gitlab", "bitbucket", "gitea"]


def remote(sandbox: RunningSandbox, host: str, repository: str) -> Remote:
    url = f"{sandbox.hosts[host].web_url}/{repository}.git"
    return Remote(url=url, allow_private=True, provider=sandbox.hosts[host].provider)


def ask(
    sandbox: RunningSandbox,
    host: str,
    repository: str,
    kind: Kind | None = None,
    scopes: tuple[str, ...] = (),
    token: str = "",
) -> RemoteRefs:
    """Ask with a fresh token of octo-alice, with ``token``, or as anybody."""
    shown = None
    if kind is not None:
        provider = provider_in(sandbox, host)
        minted = login_in(sandbox, host, kind, scopes, minted_as="" if kind is not Kind.OAUTH else "oauth")
        shown = provider.git_login(minted)
    elif token:
        shown = GitLogin(username="x-access-token", password=Secret(token))
    return git.ls_remote(remote(sandbox, host, repository), login=shown)


READERS = [
    ("github", Kind.PERSONAL_TOKEN, ("repo",)),
    ("github", Kind.FINE_GRAINED_TOKEN, ("contents:read",)),
    ("github", Kind.OAUTH, ("repo",)),
    ("gitlab", Kind.PERSONAL_TOKEN, ("read_repository",)),
    ("gitlab", Kind.OAUTH, ("read_repository",)),
    ("bitbucket", Kind.API_TOKEN, ("read:repository:bitbucket",)),
    ("bitbucket", Kind.OAUTH, ("repository",)),
    ("gitea", Kind.PERSONAL_TOKEN, ("read:repository",)),
    ("gitea", Kind.OAUTH, ("read:repository",)),
]


@pytest.mark.parametrize(("host", "kind", "scopes"), READERS)
def test_a_private_repository_tells_its_branches_and_tags(
    sandbox: RunningSandbox, host: str, kind: Kind, scopes: tuple[str, ...]
) -> None:
    found = ask(sandbox, host, "octo-alice/private-cases", kind, scopes)
    assert found.default_branch == "main"
    assert set(found.refs) == {"refs/heads/main", "refs/heads/dev", "refs/tags/v1"}
    assert found.is_complete
    assert found.evidence == "git ls-remote 200: 3 branches and tags"
    # Asked as anybody first, then with the credential, and nothing else.
    assert [call["status"] for call in sandbox.calls(host)] == [401, 200, 200]


def test_an_annotated_tag_stands_for_its_commit(sandbox: RunningSandbox) -> None:
    found = ask(sandbox, "github", "acme/public-cases")
    repository = next(sandbox.data_dir.rglob("acme/public-cases.git"))
    command = ["git", "-C", str(repository), "rev-parse", "refs/tags/v1", "refs/tags/v1^{commit}"]
    tag, commit = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    assert tag != commit
    assert found.refs["refs/tags/v1"] == commit


@pytest.mark.parametrize("host", HOSTS)
def test_a_public_repository_tells_anybody(sandbox: RunningSandbox, host: str) -> None:
    assert ask(sandbox, host, "acme/public-cases").default_branch == "main"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("repository", ["acme/cases", "acme/nothing"])
def test_what_anybody_may_not_see_is_not_found_or_no_access(
    sandbox: RunningSandbox, host: str, repository: str
) -> None:
    with pytest.raises(AccessRefused) as caught:
        ask(sandbox, host, repository)
    assert caught.value.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert caught.value.evidence == "git ls-remote 401"


@pytest.mark.parametrize(
    ("host", "wording"),
    [
        ("github", ": invalid username or token"),
        ("gitlab", ": incorrect, expired, or improperly scoped"),
        ("bitbucket", ": you may not have access to this repository or it no longer exists"),
        ("gitea", ""),
    ],
)
def test_a_wrong_token_is_rejected_and_sent_no_second_time(
    sandbox: RunningSandbox, host: str, wording: str
) -> None:
    with pytest.raises(TokenRejected) as caught:
        ask(sandbox, host, "acme/public-cases-of-nobody", token="wrong-token")
    assert (caught.value.status, caught.value.reason) == (401, "invalid")
    assert caught.value.evidence == f"git ls-remote 401{wording}"
    assert [call["status"] for call in sandbox.calls(host)] == [401, 401]


NO_ACCESS = VerdictCode.NOT_FOUND_OR_NO_ACCESS
REFUSED = [
    ("github", Kind.PERSONAL_TOKEN, ("repo",), "octo-bob/own-cases", NO_ACCESS),
    ("github", Kind.PERSONAL_TOKEN, ("repo",), "acme/nothing", NO_ACCESS),
    ("github", Kind.OAUTH, ("repo",), "assxxx/ABC", NO_ACCESS),
    ("github", Kind.OAUTH, ("repo",), "sso-corp/cases", VerdictCode.SSO_REQUIRED),
    ("github", Kind.PERSONAL_TOKEN, ("repo",), "sso-corp/cases", VerdictCode.SSO_REQUIRED),
    ("github", Kind.PERSONAL_TOKEN, ("repo",), "locked-corp/cases", VerdictCode.ORGANIZATION_POLICY),
    ("gitlab", Kind.PERSONAL_TOKEN, ("read_repository",), "sso-corp/cases", VerdictCode.SSO_REQUIRED),
    ("gitlab", Kind.PERSONAL_TOKEN, ("read_repository",), "octo-bob/own-cases", NO_ACCESS),
    ("bitbucket", Kind.API_TOKEN, ("read:repository:bitbucket",), "octo-bob/own-cases", NO_ACCESS),
    ("gitea", Kind.PERSONAL_TOKEN, ("read:repository",), "octo-bob/own-cases", NO_ACCESS),
]


@pytest.mark.parametrize(("host", "kind", "scopes", "repository", "code"), REFUSED)
def test_a_refusal_names_its_cause(
    sandbox: RunningSandbox,
    host: str,
    kind: Kind,
    scopes: tuple[str, ...],
    repository: str,
    code: VerdictCode,
) -> None:
    with pytest.raises(AccessRefused) as caught:
        ask(sandbox, host, repository, kind, scopes)
    assert caught.value.verdict_code == code


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_single_sign_on_comes_with_the_hosts_own_page_for_it(sandbox: RunningSandbox, host: str) -> None:
    scopes = ("repo",) if host == "github" else ("read_repository",)
    with pytest.raises(AccessRefused) as caught:
        ask(sandbox, host, "sso-corp/cases", Kind.PERSONAL_TOKEN, scopes)
    assert caught.value.url.startswith(f"{sandbox.hosts[host].web_url}/")
    assert "sso" in caught.value.url


@pytest.mark.parametrize(
    ("host", "kind", "scopes"),
    [
        ("github", Kind.FINE_GRAINED_TOKEN, ()),
        ("bitbucket", Kind.API_TOKEN, ("read:user:bitbucket",)),
        ("gitea", Kind.PERSONAL_TOKEN, ("read:user",)),
    ],
)
def test_a_token_that_may_not_read_code_lacks_a_scope(
    sandbox: RunningSandbox, host: str, kind: Kind, scopes: tuple[str, ...]
) -> None:
    with pytest.raises(ScopeMissing) as caught:
        ask(sandbox, host, "octo-alice/private-cases", kind, scopes)
    assert caught.value.status == 403


def test_gitlab_says_the_same_of_a_missing_scope_and_of_a_wrong_token(sandbox: RunningSandbox) -> None:
    with pytest.raises(TokenRejected) as caught:
        ask(sandbox, "gitlab", "octo-alice/private-cases", Kind.PERSONAL_TOKEN, ("read_user",))
    assert caught.value.evidence.endswith("improperly scoped")


def test_gitlab_shutting_an_address_out_is_a_spent_quota(sandbox: RunningSandbox) -> None:
    sandbox.control("gitlab", "POST", "settings", {"ban_after_failures": 1})
    with pytest.raises(TokenRejected):
        ask(sandbox, "gitlab", "acme/cases", token="wrong-token")
    with pytest.raises(ProviderRateLimited) as caught:
        ask(sandbox, "gitlab", "acme/cases", Kind.PERSONAL_TOKEN, ("read_repository",))
    assert caught.value.status == 403
    assert caught.value.retry_after is not None


@pytest.mark.parametrize(
    ("fault", "error", "evidence"),
    [
        ({"status": 500}, ProviderUnreachable, "git ls-remote 500"),
        ({"status": 503, "body": "Repository not found.", "content_type": "text/plain"},
         ProviderUnreachable, "git ls-remote 503"),
        ({"status": 429}, ProviderRateLimited, "git ls-remote 429"),
        ({"status": 404}, AccessRefused, "git ls-remote 404"),
        ({"status": 403}, ProviderAnswerUnexpected, "git ls-remote 403"),
        ({"status": 410}, ProviderAnswerUnexpected, "git ls-remote 410"),
        ({"html": True}, ProviderUnreachable, "git ls-remote: no Git answer"),
        ({"body": "{}"}, ProviderUnreachable, "git ls-remote: no Git answer"),
    ],
)  # fmt: skip
def test_an_outage_is_no_refusal(
    sandbox: RunningSandbox, fault: dict[str, object], error: type[ProviderError], evidence: str
) -> None:
    sandbox.control("bitbucket", "POST", "faults", fault)
    with pytest.raises(error) as caught:
        ask(sandbox, "bitbucket", "acme/public-cases")
    assert type(caught.value) is error
    assert caught.value.evidence == evidence


def test_a_slow_host_costs_no_more_than_the_time_given(sandbox: RunningSandbox) -> None:
    sandbox.control("gitea", "POST", "faults", {"latency_ms": 3000})
    with pytest.raises(ProviderUnreachable) as caught:
        git.ls_remote(remote(sandbox, "gitea", "acme/public-cases"), login=None, timeout_seconds=0.5)
    assert caught.value.evidence == "git ls-remote: no answer in time"


def test_many_at_once_each_get_their_own_answer(sandbox: RunningSandbox) -> None:
    scopes = {"gitea": ("read:repository",), "github": ("repo",)}
    before = len(os.listdir("/proc/self/fd"))

    def one(number: int) -> int:
        if number % 3 == 0:
            with pytest.raises(TokenRejected):
                ask(sandbox, "gitea", "acme/cases", token=f"wrong-{number}")
            return 0
        host = "gitea" if number % 2 else "github"
        found = ask(sandbox, host, "octo-alice/private-cases", Kind.PERSONAL_TOKEN, scopes[host])
        return len(found.refs)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(18))) == [0, 3, 3] * 6
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_clone_goes_the_same_way(sandbox: RunningSandbox, tmp_path: Path) -> None:
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    place = remote(sandbox, "github", "octo-alice/private-cases")
    words = ["clone", "--quiet", "--bare", "--template=", "--no-tags", "--single-branch", "--no-local"]
    said = git._git(
        [*words, "--no-recurse-submodules", "--", place.url, str(tmp_path / "bare")],
        place,
        login=login(minted.token),
        limits=Limits(cpu_seconds=20, memory_bytes=1 << 29, file_bytes=1 << 24, output_bytes=1000),
        deadline=time.monotonic() + 20,
        resolver=socket.getaddrinfo,
    )
    git._raise_failure("git clone", said, place, is_anonymous=False)
    assert (tmp_path / "bare" / "packed-refs").exists()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(minted.token.encode() in path.read_bytes() for path in files)


# --- Addresses ----------------------------------------------------------------------------------------

NO_ADDRESSES = [
    "", "-u", "--upload-pack=touch /tmp/x", "-c", "https://", "https:///acme/cases", "https://git.example",
    "https://git.example/", "ext::sh -c id", "ext::https://git.example/a/b", "file:///etc/passwd",
    "file://git.example/a/b", "/etc/passwd", "../a/b", "acme/cases", "git.example/acme/cases",
    "git@git.example:acme/cases.git", "ssh://git@git.example/acme/cases", "git://git.example/acme/cases",
    "ftp://git.example/acme/cases", "http::https://git.example/a/b", "https::https://git.example/a/b",
    "https://user@git.example/acme/cases", "https://ghp_abc@git.example/a/b", "https://a:b@git.example/a/b",
    "https://@git.example/acme/cases", "https://git.example/a/b?x=1", "https://git.example/a/b#x",
    "https://git.example\\@evil.example/a/b", "https://git.example/a\nb", "https://git.example/a\r/b",
    "https://git.example/a%0ab", "https://git.example/a%0d/b", "https://git.example/a%00/b",
    "https://git.example%0a/a/b", "https://git.example%0d.evil.example/a/b", "https://git.example:0/a/b",
    "https://git.example:443:80/a/b", "https://git.example/a/../b", "https://git.example/a/%2e%2e/b",
    "https://git.example/-upload-pack/b", "https://git.example/a/--output=x", " https://git.example/a/b",
    "HTTPS://git.example/a/b", "https://127.1/a/b", "https://0x7f.1/a/b", "https://①②⑦.⓪.⓪.①/a/b",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_web_address_of_a_repository_never_reaches_git(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*arguments: object, **options: object) -> object:
        raise AssertionError("git was started")

    monkeypatch.setattr(child, "run", nowhere)
    with pytest.raises(AddressInvalid) as caught:
        git.ls_remote(Remote(url=url, allow_private=True), login=login())
    assert TOKEN not in str(caught.value)


def test_an_address_with_a_bad_byte_anywhere_goes_nowhere_else() -> None:
    good = "https://git.example/acme/cases.git"
    tried = 0
    for bad in (
        "\r",
        "\n",
        "\0",
        "%0a",
        "%0d",
        "%00",
        "\\",
        "@",
        "\x1b",
        "\x85",
        "\u2028",
        "%",
        "#",
        "?",
        "\t",
    ):
        for place in range(len("https://"), len(good)):
            tried += 1
            address = good[:place] + bad + good[place:]
            if bad == "@" and place > len("https://git.example"):
                continue  # a character like any other, behind the host's name
            with pytest.raises(AddressError):
                git._address(address)
    assert tried > 350


@pytest.mark.parametrize(
    ("url", "allow_private"),
    [
        ("https://127.0.0.1/a/b", False),
        ("https://10.0.0.1/a/b", False),
        ("https://[::1]/a/b", False),
        ("https://169.254.169.254/a/b", True),
        ("https://[fd00:ec2::254]/a/b", True),
        ("https://[64:ff9b::a9fe:a9fe]/a/b", True),
        ("https://0.0.0.0/a/b", True),
        ("http://192.30.252.1/a/b", True),
    ],
)
def test_a_forbidden_network_is_not_gone_to(url: str, allow_private: bool) -> None:
    with pytest.raises(AddressForbidden):
        git.ls_remote(Remote(url=url, allow_private=allow_private), login=login())


@pytest.mark.parametrize("token", ["a\nb", "a\rb", "a\0b", "", "x" * 20_000])
def test_a_token_that_git_cannot_send_is_not_sent(token: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        git.ls_remote(Remote(url="https://127.0.0.1/a/b", allow_private=True), login=login(token))
    assert caught.value.field == "token"


# --- The program --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prints", "works"),
    [("git version 2.36.9", False), ("git version 2.37.0", True), ("git version 3.0.1", True), ("no", False)],
)
def test_a_git_that_would_pass_over_the_checked_addresses_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, works: bool
) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    git._program.cache_clear()
    try:
        if works:
            assert git._program() == str(program)
        else:
            with pytest.raises(ConfigurationError):
                git._program()
    finally:
        git._program.cache_clear()


def test_a_machine_without_git_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    git._program.cache_clear()
    try:
        with pytest.raises(ForgekeyError, match="git is not installed"):
            git._program()
    finally:
        git._program.cache_clear()

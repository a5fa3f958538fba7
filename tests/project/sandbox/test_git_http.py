"""Real git against the real repositories: who may clone, and what the others are told."""

from __future__ import annotations

import gzip
import subprocess
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from project.sandbox.git_http import git_call
from tests.project.sandbox.caller import basic, call
from tests.project.sandbox.test_wire import request
from tests.sandbox import Minted, RunningSandbox

BITBUCKET_LOST = "You may not have access to this repository or it no longer exists in this workspace."
GITHUB_SSO = "The `sso-corp' organization has enabled or enforced SAML SSO."


def git(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return subprocess.run(["git", *words], env=environment, capture_output=True, text=True, check=False)


def clone(
    sandbox: RunningSandbox,
    tmp_path: Path,
    host: str,
    repository: str,
    username: str = "",
    password: str = "",
) -> subprocess.CompletedProcess[str]:
    """Clone with credentials that git asks for, as they are never to stand in a command."""
    (tmp_path / "answer").write_text(f"username={username}\npassword={password}\n")
    asking = f"credential.helper=!cat '{tmp_path}/answer' #"
    url = f"{sandbox.hosts[host].web_url}/{repository}.git"
    words = ["-c", asking] if username or password else []
    return git(tmp_path, *words, "clone", "--quiet", url, str(tmp_path / "clone"))


def clone_with(
    sandbox: RunningSandbox, tmp_path: Path, host: str, repository: str, minted: Minted
) -> subprocess.CompletedProcess[str]:
    return clone(sandbox, tmp_path, host, repository, minted.username, minted.token)


GOOD = [
    ("github", "personal_token", ["repo"]),
    ("github", "oauth", ["repo"]),
    ("github", "app_user_token", []),
    ("github", "fine_grained_token", ["contents:read"]),
    ("gitlab", "personal_token", ["read_repository"]),
    ("gitlab", "oauth", ["read_repository"]),
    ("gitlab", "project_access_token", ["read_repository"]),
    ("bitbucket", "api_token", ["read:repository:bitbucket"]),
    ("bitbucket", "access_token", ["repository"]),
    ("bitbucket", "oauth", ["repository"]),
    ("gitea", "personal_token", ["read:repository"]),
    ("gitea", "oauth", ["read:repository"]),
]


@pytest.mark.parametrize(("host", "kind", "scopes"), GOOD)
def test_a_private_repository_is_cloned_with_each_kind_of_credential(
    sandbox: RunningSandbox, tmp_path: Path, host: str, kind: str, scopes: list[str]
) -> None:
    minted = sandbox.mint(host, "octo-alice", kind, scopes)
    result = clone_with(sandbox, tmp_path, host, "octo-alice/private-cases", minted)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "clone" / "library.yaml").exists()
    statuses = [item["status"] for item in sandbox.calls(host)]
    assert statuses[:2] == [401, 200]
    assert sandbox.calls(host)[-1]["token"] == minted.id


@pytest.mark.parametrize("host", ["github", "gitlab", "bitbucket", "gitea"])
def test_a_public_repository_is_cloned_by_anybody(sandbox: RunningSandbox, tmp_path: Path, host: str) -> None:
    assert clone(sandbox, tmp_path, host, "acme/public-cases").returncode == 0


REFUSED = [
    ("github", "personal_token", [], "octo-alice/private-cases", "Repository not found."),
    ("github", "oauth", ["repo"], "assxxx/ABC", "Repository not found."),
    (
        "github",
        "oauth",
        ["repo"],
        "sso-corp/cases",
        "you must re-authorize the OAuth Application `Forgekey`.",
    ),
    ("github", "personal_token", ["repo"], "sso-corp/cases", GITHUB_SSO),
    ("github", "personal_token", ["repo"], "locked-corp/cases", "forbids access via a personal access token"),
    (
        "github",
        "fine_grained_token",
        [],
        "octo-alice/private-cases",
        "Write access to repository not granted.",
    ),
    ("github", "personal_token", ["repo"], "octo-bob/own-cases", "Repository not found."),
    ("github", "personal_token", ["repo"], "acme/nope", "Repository not found."),
    ("gitlab", "personal_token", ["read_user"], "octo-alice/private-cases", "improperly scoped."),
    ("gitlab", "personal_token", ["read_repository"], "sso-corp/cases", "Cannot find valid SSO session."),
    (
        "gitlab",
        "personal_token",
        ["read_repository"],
        "octo-bob/own-cases",
        "could not be found or you don't have",
    ),
    (
        "bitbucket",
        "api_token",
        ["read:user:bitbucket"],
        "octo-alice/private-cases",
        "required privilege scopes.",
    ),
    ("bitbucket", "api_token", ["read:repository:bitbucket"], "octo-bob/own-cases", BITBUCKET_LOST),
    ("bitbucket", "access_token", ["repository"], "acme/cases", BITBUCKET_LOST),
    ("bitbucket", "app_password", ["repository"], "octo-alice/private-cases", BITBUCKET_LOST),
    ("gitea", "personal_token", ["read:user"], "octo-alice/private-cases", "Forbidden"),
    ("gitea", "personal_token", ["read:repository"], "octo-bob/own-cases", "Repository not found"),
    ("gitea", "personal_token", ["public-only", "read:repository"], "acme/cases", "Repository not found"),
]


@pytest.mark.parametrize(("host", "kind", "scopes", "repository", "words"), REFUSED)
def test_a_refusal_is_worded_as_by_the_original(
    sandbox: RunningSandbox,
    tmp_path: Path,
    host: str,
    kind: str,
    scopes: list[str],
    repository: str,
    words: str,
) -> None:
    minted = sandbox.mint(host, "octo-alice", kind, scopes)
    result = clone_with(sandbox, tmp_path, host, repository, minted)
    assert result.returncode == 128
    assert words in result.stderr.replace("\nremote: ", " ")


WRONG_NAMES = [
    ("bitbucket", "api_token", ["read:repository:bitbucket"], "octo-alice@example.test"),
    ("bitbucket", "api_token", ["read:repository:bitbucket"], "x-token-auth"),
    ("bitbucket", "access_token", ["repository"], "octo-alice"),
    ("bitbucket", "oauth", ["repository"], "octo-alice"),
    ("gitlab", "oauth", ["read_repository"], "octo-alice"),
]


@pytest.mark.parametrize(("host", "kind", "scopes", "username"), WRONG_NAMES)
def test_a_good_token_with_the_wrong_user_name_is_refused(
    sandbox: RunningSandbox, tmp_path: Path, host: str, kind: str, scopes: list[str], username: str
) -> None:
    minted = sandbox.mint(host, "octo-alice", kind, scopes)
    result = clone(sandbox, tmp_path, host, "octo-alice/private-cases", username, minted.token)
    assert "Authentication failed" in result.stderr


@pytest.mark.parametrize(
    ("host", "username"),
    [("github", "anything"), ("gitlab", "anything"), ("bitbucket", "octo-alice"), ("gitea", "anything")],
)
def test_user_names_the_original_accepts_are_accepted(
    sandbox: RunningSandbox, tmp_path: Path, host: str, username: str
) -> None:
    kind = "api_token" if host == "bitbucket" else "personal_token"
    scopes = ["repo", "read_repository", "read:repository:bitbucket", "read:repository"]
    minted = sandbox.mint(host, "octo-alice", kind, scopes)
    result = clone(sandbox, tmp_path, host, "octo-alice/private-cases", username, minted.token)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("host", ["github", "gitea"])
def test_a_token_may_stand_where_the_user_name_stands(sandbox: RunningSandbox, host: str) -> None:
    minted = sandbox.mint(host, "octo-alice", "personal_token", ["repo", "read:repository"])
    url = f"{sandbox.hosts[host].web_url}/acme/cases.git/info/refs?service=git-upload-pack"
    assert call("GET", url, headers=basic(minted.token, "x-oauth-basic")).status == 200


@pytest.mark.parametrize(
    ("host", "realm", "words"),
    [
        ("github", "GitHub", "Invalid username or token."),
        ("gitlab", "GitLab", "HTTP Basic: Access denied."),
        ("bitbucket", "Bitbucket.org HTTP", BITBUCKET_LOST),
        ("gitea", "Gitea", "Failed to authenticate user"),
    ],
)
def test_an_unknown_token_is_challenged_again_with_the_providers_realm(
    sandbox: RunningSandbox, host: str, realm: str, words: str
) -> None:
    url = f"{sandbox.hosts[host].web_url}/acme/public-cases.git/info/refs?service=git-upload-pack"
    answer = call("GET", url, headers=basic("x-token-auth", "wrong"))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{realm}"'
    assert answer.text.startswith(words)


PUSH_REFUSALS = [
    ("github", "Write access to repository not granted."),
    ("gitlab", "You are not allowed to push code to this project."),
    ("bitbucket", "Your credentials lack one or more required privilege scopes."),
    ("gitea", "User permission denied for writing."),
]


@pytest.mark.parametrize(("host", "words"), PUSH_REFUSALS)
def test_a_push_is_refused_in_the_providers_words_even_where_reading_is_allowed(
    sandbox: RunningSandbox, tmp_path: Path, host: str, words: str
) -> None:
    kind = "api_token" if host == "bitbucket" else "personal_token"
    scopes = ["repo", "write_repository", "read:repository:bitbucket", "write:repository"]
    minted = sandbox.mint(host, "octo-alice", kind, scopes)
    assert clone_with(sandbox, tmp_path, host, "acme/cases", minted).returncode == 0
    asking = f"credential.helper=!cat '{tmp_path}/answer' #"
    result = git(
        tmp_path, "-C", str(tmp_path / "clone"), "-c", asking, "push", "origin", "HEAD:refs/heads/new"
    )
    assert result.returncode == 128
    assert f"remote: {words}" in result.stderr


def test_a_packed_body_in_chunks_reaches_git(sandbox: RunningSandbox) -> None:
    body = gzip.compress(
        b"0014command=ls-refs\n0001" + b"0009peel\n" + b"001bref-prefix refs/heads/\n" + b"0000"
    )
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Content-Encoding": "gzip",
        "Git-Protocol": "version=2",
        "Transfer-Encoding": "chunked",
    }
    connection = HTTPConnection(sandbox.hosts["github"].web_url.removeprefix("http://"), timeout=30)
    try:
        path = "/acme/public-cases.git/git-upload-pack"
        connection.request(
            "POST", path, body=iter([body[:7], body[7:]]), headers=headers, encode_chunked=True
        )
        response = connection.getresponse()
        assert response.status == 200
        assert b" refs/heads/dev\n" in response.read()
    finally:
        connection.close()


def test_many_clones_at_once_all_succeed(sandbox: RunningSandbox, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(6)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda folder: clone(sandbox, folder, "gitea", "acme/public-cases"), folders))
    assert [result.returncode for result in results] == [0] * 6


def test_after_too_many_failures_git_is_shut_for_an_hour(sandbox: RunningSandbox) -> None:
    sandbox.control("gitlab", "POST", "settings", {"ban_after_failures": 3})
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_repository"])
    url = f"{sandbox.hosts['gitlab'].web_url}/acme/cases.git/info/refs?service=git-upload-pack"
    statuses = [call("GET", url, headers=basic("oauth2", "wrong")).status for _ in range(4)]
    assert statuses == [401, 401, 401, 403]
    assert call("GET", url, headers=basic("oauth2", minted.token)).status == 403
    sandbox.control("gitlab", "POST", "settings", {"clock_offset_seconds": 3601})
    assert call("GET", url, headers=basic("oauth2", minted.token)).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/acme/cases.git/info/refs"),
        ("GET", "/acme/cases.git/HEAD"),
        ("GET", "/acme/cases.git/git-upload-pack"),
        ("POST", "/acme/cases.git/info/refs?service=git-upload-pack"),
        ("GET", "/cases.git/info/refs?service=git-upload-pack"),
        ("GET", "/acme/cases.git/info/refs?service=git-other"),
    ],
)
def test_what_is_not_the_smart_protocol_is_no_git_call(method: str, target: str) -> None:
    assert git_call(request(target, method=method)) is None


def test_a_call_is_taken_apart_with_and_without_the_suffix() -> None:
    for name in ("cases.git", "cases"):
        found = git_call(request(f"/acme/{name}/info/refs?service=git-receive-pack"))
        assert found is not None
        assert (found.owner, found.name, found.is_push) == ("acme", "cases", True)

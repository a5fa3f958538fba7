"""Real git against the sandbox's real repositories, through the one place that runs it."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.facts import GitLogin
from credentials.providers.tokens import Kind
from credentials.sources import git
from credentials.sources.git import Remote, RemoteRefs
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import login_in, provider_in
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

"""Addresses as people copy them from each host's pages and clone buttons, and the repository that each names."""

from __future__ import annotations

import pytest

from credentials.errors import AddressInvalid
from credentials.providers import registry
from credentials.providers.repository_url import parse

# Provider, the host's own address, what was copied, and the repository's name at the host (None: none).
GITHUB = ("github", "https://github.com")
ENTERPRISE = ("github", "https://example.org/github")
GITLAB = ("gitlab", "https://gitlab.com")
BELOW = ("gitlab", "https://example.org/git")
BITBUCKET = ("bitbucket", "https://bitbucket.org")
CODEBERG = ("gitea", "https://codeberg.org")
SERVER = ("bitbucket_server", "https://stash.example.org")
AZURE = ("azure_devops", "https://dev.azure.com/acme")
AZURE_WIDE = ("azure_devops", "https://dev.azure.com")

PLACES: tuple[tuple[tuple[str, str], str, str | None], ...] = (
    (GITHUB, "https://github.com/acme/cases", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases.git", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/", "acme/cases"),
    (GITHUB, "github.com/acme/cases", "acme/cases"),
    (GITHUB, "git@github.com:acme/cases.git", "acme/cases"),
    (GITHUB, "ssh://git@ssh.github.com:443/acme/cases.git", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/tree/main", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/tree/feature/x/docs", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/blob/main/README.md?plain=1#L7", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/commit/0123abc", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/commits/main/", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/pull/7/files", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/issues?q=is%3Aopen", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/releases/tag/v1.0", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/actions/runs/1", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases/archive/refs/heads/main.zip", "acme/cases"),
    (GITHUB, "https://github.com/acme/cases.wiki.git", "acme/cases.wiki"),
    (GITHUB, "https://github.com/acme", None),
    (GITHUB, "https://github.com/orgs/acme/repositories", None),
    (GITHUB, "https://github.com/settings/tokens", None),
    (GITHUB, "https://github.com/acm\u0435/cases", None),
    (GITHUB, "https://github.com/acme/\uff0e\uff0e", None),
    (GITHUB, "https://github.com/acme\uff0fcases", None),
    (GITHUB, "https://github.com/acme/..;/evil", None),
    (ENTERPRISE, "https://example.org/github/acme/cases/tree/main", "acme/cases"),
    (ENTERPRISE, "https://example.org/github/acme", None),
    (GITLAB, "https://gitlab.com/acme/cases", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/team/deeper/cases.git", "acme/team/deeper/cases"),
    (GITLAB, "git@gitlab.com:acme/team/cases.git", "acme/team/cases"),
    (GITLAB, "ssh://git@altssh.gitlab.com:443/acme/cases.git", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/team/cases/-/tree/main/docs?ref_type=heads", "acme/team/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/-/blob/main/README.md", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/-/merge_requests/7/diffs", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/-/pipelines", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/-/archive/main/cases-main.zip", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/tree/main", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme/cases/wikis/home", "acme/cases"),
    (GITLAB, "https://gitlab.com/acme", None),
    (GITLAB, "https://gitlab.com/groups/acme/-/saml/sso", None),
    (GITLAB, "https://gitlab.com/-/user_settings/personal_access_tokens", None),
    (GITLAB, "https://gitlab.com/dashboard/projects", None),
    (GITLAB, "https://gitlab.com/acme/-/issues", None),
    (GITLAB, "https://gitlab.com/acme/c\u0430ses", None),
    (BELOW, "https://example.org/git/acme/cases/-/tree/main", "acme/cases"),
    (BELOW, "https://example.org/git/git/cases", "git/cases"),
    (BELOW, "https://example.org/GIT/acme/team/cases.git", "acme/team/cases"),
    (BELOW, "https://example.org/git/acme", None),
    (BITBUCKET, "https://bitbucket.org/acme/cases", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases.git", "acme/cases"),
    (BITBUCKET, "git@bitbucket.org:acme/cases.git", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/src/main/", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/src/0123abc/docs/a%20b.md?at=main#lines-3", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/branch/feature/x", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/commits/", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/pull-requests/7/diff", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/get/main.zip", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/cases/downloads/", "acme/cases"),
    (BITBUCKET, "https://bitbucket.org/acme/workspace/projects/CASES", None),
    (BITBUCKET, "https://bitbucket.org/acme", None),
    (BITBUCKET, "https://bitbucket.org/account/settings/app-authorizations/", None),
    (BITBUCKET, "https://bitbucket.org/dashboard/overview", None),
    (CODEBERG, "https://codeberg.org/acme/cases", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases.git", "acme/cases"),
    (CODEBERG, "ssh://git@codeberg.org/acme/cases.git", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases/src/branch/main/docs", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases/src/commit/0123abc/a.md", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases/pulls/7/files", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases/releases", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme/cases/archive/main.zip", "acme/cases"),
    (CODEBERG, "https://codeberg.org/acme", None),
    (CODEBERG, "https://codeberg.org/org/acme/teams", None),
    (CODEBERG, "https://codeberg.org/user/settings/applications", None),
    (CODEBERG, "https://codeberg.org/acme/-/projects", None),
    (SERVER, "https://stash.example.org/scm/acme/cases.git", "acme/cases"),
    (SERVER, "https://stash.example.org/scm/~alice/cases.git", "~alice/cases"),
    (SERVER, "ssh://git@stash.example.org:7999/acme/cases.git", "acme/cases"),
    (SERVER, "ssh://git@stash.example.org:7999/~alice/cases.git", "~alice/cases"),
    (SERVER, "https://stash.example.org/projects/ACME/repos/cases", "ACME/cases"),
    (SERVER, "https://stash.example.org/projects/ACME/repos/cases/browse?at=refs%2Fheads%2Fmain", "ACME/cases"),
    (SERVER, "https://stash.example.org/projects/ACME/repos/cases/pull-requests/7/diff#a.md", "ACME/cases"),
    (SERVER, "https://stash.example.org/projects/ACME/repos/cases/commits", "ACME/cases"),
    (SERVER, "https://stash.example.org/users/alice/repos/cases/browse", "~alice/cases"),
    (SERVER, "https://stash.example.org/projects/ACME", None),
    (SERVER, "https://stash.example.org/users/alice", None),
    (SERVER, "https://stash.example.org/plugins/servlet/access-tokens/manage", None),
    (AZURE, "https://dev.azure.com/acme/cases/_git/cases", "cases/_git/cases"),
    (AZURE, "https://dev.azure.com/acme/_git/cases", "cases/_git/cases"),
    (AZURE, "git@ssh.dev.azure.com:v3/acme/cases/library", "cases/_git/library"),
    (AZURE, "https://dev.azure.com/acme/My%20Cases/_git/My%20Cases", "My Cases/_git/My Cases"),
    (AZURE, "https://dev.azure.com/acme/cases/_git/cases?path=/README.md&version=GBmain", "cases/_git/cases"),
    (AZURE, "https://dev.azure.com/acme/cases/_git/cases/pullrequest/7", "cases/_git/cases"),
    (AZURE, "https://dev.azure.com/acme/cases/_git/cases/commit/0123abc", "cases/_git/cases"),
    (AZURE, "https://dev.azure.com/acme/cases", None),
    (AZURE, "https://dev.azure.com/acme/cases/_build", None),
    (AZURE, "https://dev.azure.com/acme/_usersSettings/tokens", None),
    (AZURE_WIDE, "https://dev.azure.com/acme/cases/_git/library", "acme/cases/_git/library"),
    (AZURE_WIDE, "https://dev.azure.com/acme/_git/cases", "acme/_git/cases"),
    (AZURE_WIDE, "https://dev.azure.com/acme/cases", None),
)  # fmt: skip


@pytest.mark.parametrize(("host", "copied", "path"), PLACES, ids=[copied for _, copied, _ in PLACES])
def test_what_was_copied_names_the_repository(host: tuple[str, str], copied: str, path: str | None) -> None:
    name, web_url = host
    address, base = parse(copied), parse(web_url)
    assert address.origin == base.origin
    assert address.segments_start_with(base.segments)

    place = registry.get(name).place(address.segments[len(base.segments) :])

    assert (place.path if place else None) == path


@pytest.mark.parametrize("name", registry.names())
def test_every_provider_is_in_the_table_with_what_is_and_what_is_no_repository(name: str) -> None:
    mine = [path is None for (provider, _web_url), _copied, path in PLACES if provider == name]

    assert len(mine) >= 10
    assert set(mine) == {True, False}


def test_an_address_that_carries_its_own_name_is_never_read_past_it() -> None:
    """Bitbucket's clone button writes the account before the host; it is said to be removed, not guessed at."""
    with pytest.raises(AddressInvalid, match="Remove the user name"):
        parse("https://octo-alice@bitbucket.org/acme/cases.git")

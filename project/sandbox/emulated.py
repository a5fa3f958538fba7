"""The emulated hosts in the order of their ports: one line each."""

from __future__ import annotations

from project.sandbox.azure import Azure
from project.sandbox.bitbucket import Bitbucket
from project.sandbox.bitbucket_server import BitbucketServer
from project.sandbox.gitea import Gitea
from project.sandbox.github import GitHub
from project.sandbox.github_enterprise import GitHubEnterprise
from project.sandbox.gitlab import GitLab
from project.sandbox.host import EmulatedHost

EMULATED: tuple[tuple[str, type[EmulatedHost]], ...] = (
    ("github", GitHub),
    ("gitlab", GitLab),
    ("bitbucket", Bitbucket),
    ("gitea", Gitea),
    ("github-enterprise", GitHubEnterprise),
    ("bitbucket-server", BitbucketServer),
    ("azure", Azure),
)

"""The emulated hosts in the order of their ports: one line each."""

from __future__ import annotations

from project.sandbox.host import EmulatedHost
from project.sandbox.hosts.azure import Azure
from project.sandbox.hosts.bitbucket import Bitbucket
from project.sandbox.hosts.bitbucket_server import BitbucketServer
from project.sandbox.hosts.gitea import Gitea
from project.sandbox.hosts.github import GitHub
from project.sandbox.hosts.github_enterprise import GitHubEnterprise
from project.sandbox.hosts.gitlab import GitLab

EMULATED: tuple[tuple[str, type[EmulatedHost]], ...] = (
    ("github", GitHub),
    ("gitlab", GitLab),
    ("bitbucket", Bitbucket),
    ("gitea", Gitea),
    ("github-enterprise", GitHubEnterprise),
    ("bitbucket-server", BitbucketServer),
    ("azure", Azure),
)

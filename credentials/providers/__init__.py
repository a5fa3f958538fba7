"""The Git hosting software Forgekey speaks to: one folder and one line here for each."""

from __future__ import annotations

REGISTERED: tuple[str, ...] = (
    "credentials.providers.github.GitHub",
    "credentials.providers.gitlab.GitLab",
    "credentials.providers.bitbucket.Bitbucket",
    "credentials.providers.gitea.Gitea",
    "credentials.providers.bitbucket_server.BitbucketServer",
    "credentials.providers.azure_devops.AzureDevOps",
)

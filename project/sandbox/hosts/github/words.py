"""What GitHub says about each barrier, word for word: clients recognize the cause by these sentences."""

from __future__ import annotations

from collections.abc import Mapping

from project.sandbox.host import Barrier

_OPENING = (
    "Although you appear to have the correct authorization credentials, the `{owner}` organization has "
)
EXPLANATIONS: Mapping[Barrier, str] = {
    Barrier.NOT_APPROVED: (
        f"{_OPENING}enabled OAuth App access restrictions, meaning that data access to third-parties is "
        "limited. For more information on these restrictions, including how to enable this app, visit "
        "https://docs.github.com/articles/restricting-access-to-your-organization-s-data/"
    ),
    Barrier.IP_BLOCKED: (
        f"{_OPENING}an IP allow list enabled, and your IP address is not permitted to access this resource."
    ),
    Barrier.SSO: (
        "Resource protected by organization SAML enforcement. "
        "You must grant your {kind} access to this organization."
    ),
    Barrier.CLASSIC_FORBIDDEN: (
        "`{owner}` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, "
        "or a personal access token with fine-grained permissions."
    ),
    Barrier.FINE_GRAINED_FORBIDDEN: (
        "`{owner}` forbids access via a fine-grained personal access token. Please use a GitHub App, "
        "OAuth App, or a personal access token (classic)."
    ),
    Barrier.LIFETIME: (
        "The '{owner}' organization forbids access via a fine-grained personal access tokens if the "
        "token's lifetime is greater than {days} days. Please adjust your token's lifetime at the following URL: {url}"
    ),
    Barrier.CONTENTS: "Resource not accessible by {resource}",
}
KINDS = {"personal_token": "Personal Access token", "fine_grained_token": "Personal Access token"}
RESOURCES = {"app_user_token": "integration"}

NO_ORGANIZATION_SCOPE = "You need at least read:org scope or user scope to list your organizations."
NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
    "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). "
    "Check https://developer.github.com for other possible causes.\n"
)
NO_INSTALLATIONS = (
    "You must authenticate with an access token authorized to a GitHub App in order to list installations"
)
INSUFFICIENT_SCOPES = (
    "Your token has not been granted the required scopes to execute this query. The 'login' field requires "
    "one of the following scopes: ['read:org'], but your token has only been granted the: [{granted}] scopes. "
    "Please modify your token's scopes at: https://github.com/settings/tokens."
)
BAD_CREDENTIALS = "Invalid username or token. Password authentication is not supported for Git operations.\n"
NO_REPOSITORY = "Repository not found.\n"
NO_WRITING = "Write access to repository not granted.\n"
SSO_OPENING = "The `{owner}' organization has enabled or enforced SAML SSO. To access\nthis repository, "
SSO_APP = SSO_OPENING + "you must re-authorize the OAuth Application `{app}`.\n"
SSO_TOKEN = SSO_OPENING + "visit {url}\nand try your request again.\n"

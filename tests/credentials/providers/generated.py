"""Answers that no sane host gives, made by chance but repeatably, and a door that hands them out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from requests.structures import CaseInsensitiveDict

from credentials.providers.answers import Answer
from credentials.providers.http import Door, _parsed
from tests.credentials.providers.asking import NOW

CANARY: Final = "kanari\N{BLACK SCISSORS}"
"""Stands in bodies and headers; no name of an organization may look so, and no text of ours repeats it."""

WEB: Final = "https://git.example"

STATUSES: Final = (
    *[200] * 24, 201, 202, 203, 204, 205, 206, 301, 302, 303, 304, 307, 308, 400, *[401] * 4, 402, *[403] * 6,
    *[404] * 5, 405, 406, 409, 410, 418, 422, *[429] * 2, 451, 500, 502, 503, 504, 520, 599,
)  # fmt: skip
TYPES: Final = (
    *["application/json"] * 10, "application/json; charset=utf-8", "application/vnd.github+json",
    "application/hal+json", "APPLICATION/JSON", "application/problem+json", "text/html", "text/html;charset=utf-8",
    "text/plain", "application/xml", "", "json", "application/json/x",
)  # fmt: skip

# How providers word their refusals, each cut, repeated and mixed with others further down.
WORDINGS: Final = (
    "Bad credentials", "401 Unauthorized", "Requires authentication", "Not Found", "404 Project Not Found",
    "Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth "
    "App access restrictions", "`acme` forbids access via a personal access token (classic). Please use a GitHub App",
    "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is "
    f"greater than 30 days. {WEB}/settings/personal-access-tokens/12", "Resource protected by organization SAML "
    "enforcement. You must grant your Personal Access token access to this organization.",
    "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow "
    "list enabled", "Resource not accessible by personal access token", "Resource not accessible by integration",
    "You must authenticate with an access token authorized to a GitHub App",
    "You have exceeded a secondary rate limit", "API rate limit exceeded", "You need at least read:org scope to list",
    "insufficient_scope", "invalid_token", "Token is expired. You can either do re-authorization or token refresh.",
    "Token was revoked. You have to re-authorize from the user.", "dpop_error", "invalid_grant",
    f"Cannot find valid SSO session. Please login via your group's SSO at {WEB}/groups/acme/-/saml/sso?token=1",
    "token does not have at least one of required scope(s), required=[read:repository], token scope=[read:user]",
    "token does not have at least one of required scope(s): [read:organization]",
    "Your credentials lack one or more required privilege scopes.", "Token is invalid, expired, or not supported",
    "You are not permitted to access this resource", "Authentication failed. Please check your credentials",
    "com.atlassian.bitbucket.AuthorisationException", "TF400813: The user is not authorized to access this resource.",
    "Access Denied: The Personal Access Token used has expired.", "The Personal Access Token used has%20expired",
    "has been suspended", "Sorry. Your account was suspended.", "must accept an invitation", "Retry later",
)  # fmt: skip
NAMES: Final = ("acme", "cases", "octo-alice", "acme/cases", "acme/sub", "main", "active", "pending", "member", "admin",
                "read:repository", "repo", "read_api", "api", "granular", "1", "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
                "User", "Organization", "http", "https", "self")  # fmt: skip
KEYS: Final = (
    "id", "login", "username", "scopes", "scope", "error", "errors", "detail", "required", "granted", "message",
    "account_id", "uuid", "nickname", "values", "workspace", "slug", "organization", "user_id", "active", "revoked",
    "expires_at", "expires_in", "resource_owner_id", "application", "uid", "groups", "projects", "full_path", "name",
    "full_name", "web_url", "next", "type", "state", "role", "permissions", "pull", "private", "visibility",
    "clone_url",
    "http_url_to_repo", "links", "clone", "href", "default_branch", "mainbranch", "defaultBranch", "remoteUrl",
    "path_with_namespace", "owner", "project", "key", "isLastPage", "nextPageStart", "version", "exceptionName",
    "context", "data", "viewer", "organizations", "nodes", "pageInfo", "hasNextPage", "endCursor", "extensions",
    "saml_failure", "path", "installations", "account", "total_count", "repositories", "suspended_at", "items", "ok",
    "isDisabled", "value", "count", "error_description", "is_private", "public",
)  # fmt: skip
HEADERS: Final[Mapping[str, Sequence[str]]] = {
    "X-OAuth-Scopes": ("repo", "repo, read:org", "", "read:repository:bitbucket", ","),
    "X-Accepted-OAuth-Scopes": ("repo", ""),
    "X-OAuth-Client-Id": ("client-1", "client-2"),
    "X-GitHub-SSO": (
        f"required; url={WEB}/orgs/acme/sso?authorization_request=x", "required", "required; url=javascript:alert(1)",
        "partial-results; organizations=1,2,99999999999999999999", "partial-results; organizations=",
    ),
    "github-authentication-token-expiration": (
        "2027-09-23 22:46:17 UTC", "2027-09-05 17:55:53 +0500", "9999-12-31 23:59:59 -2359",
        "0001-01-01 00:00:00 +2359",
        "2023-02-30 00:00:00 UTC",
    ),
    "X-RateLimit-Remaining": ("0", "1", "-1", " 0 "),
    "X-RateLimit-Reset": ("1800000000", "99999999999", "0", "1e9"),
    "RateLimit-Reset": ("1800000000",),
    "Retry-After": ("30", "0", "999999999", "Wed, 25 Nov 2026 12:00:00 GMT", "Mon, 99 Foo 9999 99:99:99 GMT", "-5"),
    "X-Credential-Type": ("apitoken", "repository_access_token", "oauth2"),
    "X-AUSERNAME": ("octo-alice", "access-token-user/1/2", "octo%2Dalice", "%FF%FE"),
    "X-Next-Page": ("2", "", "x"),
    "X-Total-Count": ("1", "999999999", "x"),
    "Link": (f'<{WEB}/api?page=2>; rel="next"', 'rel="next"'),
    "Location": (
        f"{WEB}/api/repositories/12", f"{WEB}/api/projects/1", f"{WEB}/_signin?x=1", "https://evil.example/",
        "//[", "http://[::1", f"{WEB}/api/repos/acme/new-name", f"{WEB}/api/../x",
    ),
    "WWW-Authenticate": ('OAuth realm="Bitbucket.org HTTP"', 'Basic realm="GitLab"', "Bearer"),
    "X-VSS-ResourceTenant": ("00000000-0000-0000-0000-000000000000",),
    "X-TFS-ServiceError": ("The%20Personal%20Access%20Token%20has%20expired", "TF400813"),
    "X-TFS-FedAuthRedirect": (f"{WEB}/_signin",),
}  # fmt: skip


def _sound(name: str) -> dict[str, Any]:
    """A record that every provider can read as an account, an organization, a token or a repository."""
    clone = f"{WEB}/acme/cases.git"
    return {
        "id": 1, "login": name, "username": name, "name": name, "slug": name, "full_path": name, "key": "ACME",
        "full_name": "acme/cases", "path_with_namespace": "acme/cases", "path": "cases", "type": "Organization",
        "private": True, "is_private": True, "visibility": "private", "public": False, "default_branch": "main",
        "mainbranch": {"name": "main"}, "defaultBranch": "refs/heads/main", "version": "8.9.0", "isLastPage": True,
        "clone_url": clone, "http_url_to_repo": clone, "remoteUrl": f"{WEB}/acme/library/_git/cases", "web_url": WEB,
        "links": {"clone": [{"name": kind, "href": clone} for kind in ("https", "http")]},
        "permissions": {"pull": True},
        "state": "active", "role": "member", "organization": {"login": "acme", "id": 1}, "workspace": {"slug": "acme"},
        "project": {"key": "ACME", "name": "library", "visibility": "private"}, "owner": {"login": "acme"},
        "account": {"login": "acme", "type": "Organization"}, "account_id": "1", "user_id": 1, "resource_owner_id": 1,
        "scopes": ["repo", "read_api"], "scope": ["read_api"], "active": True, "revoked": False,
        "application": {"uid": "client-1"},
    }  # fmt: skip


ODD: Final = (
    f"{WEB}/acme/cases.git", "https://evil.example/", f"{WEB}/{CANARY}", "//[", "2027-01-01", "9999-12-31T23:59:59Z",
    "2026-11-25T00:00:00+00:00", "", "x" * 5000,
)  # fmt: skip


SCALARS: Final[Sequence[Sequence[Any]]] = (
    (-1, 0, 1, 2, 3, 4),
    (10**18, 10**300, -(10**40), 1.5, 1e308, -0.0, 2**63),
    (None, True, False),
    (None, True, False),
    *[NAMES] * 4,
    ODD,
)


class Answers:
    """Everything that follows from one seed."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)

    def wording(self) -> str:
        chance = self.chance
        words = chance.choice(WORDINGS)
        match chance.randrange(9):
            case 0:
                words = words.upper()
            case 1:
                words = words[: chance.randrange(len(words))]
            case 2:
                words = f"{words} {chance.choice(WORDINGS)}"
            case 3:
                words = words.replace(" ", f" {CANARY} ", 1)
            case 4:
                words = words * 400
            case 5:
                place = chance.randrange(len(words))
                words = words[:place] + chance.choice("\x00\n\r\u202e\ud800 '`%") + words[place:]
        return f"{words} {CANARY}"

    def scalar(self) -> Any:
        chance = self.chance
        if chance.random() < 0.1:
            return self.wording()
        found = chance.choice(chance.choice(SCALARS))
        return f"{CANARY}{found}" if chance.random() < 0.1 else found

    def value(self, depth: int = 0) -> Any:
        chance = self.chance
        shape = chance.random()
        if depth > 3 or shape < 0.4:
            return self.scalar()
        if shape < 0.55:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return self.record(depth)

    def record(self, depth: int) -> dict[str, Any]:
        chance = self.chance
        found = {key: self.value(depth + 1) for key in chance.choices(KEYS, k=chance.randrange(1, 6))}
        if chance.random() < 0.3:
            found["message"] = self.wording()
        if chance.random() < 0.1:
            found[CANARY] = self.wording()
        return found

    def sound(self) -> Any:
        """What an honest host might say, but for a little."""
        chance = self.chance
        one = _sound(chance.choice(("acme", "cases", "octo-alice")))
        for key in chance.sample(sorted(one), k=chance.choice((0, 0, 0, 1, 2))):
            one[key] = self.scalar()
        match chance.randrange(4):
            case 0:
                return [one]
            case 1:
                names = ("values", "value", "groups", "projects", "repositories", "installations", "data")
                return {**one, "ok": True, **{name: [one] for name in names}}
            case 2:
                end = {"hasNextPage": False, "endCursor": "x"}
                return {**one, "data": {"viewer": {"organizations": {"nodes": [one], "pageInfo": end}}}}
        return one

    def body(self) -> Any:
        shape = self.chance.random()
        if self.chance.random() < 0.3:
            return self.sound()
        if shape < 0.01:
            nested: Any = self.scalar()
            for _ in range(self.chance.choice((90, 900))):
                nested = {"values": [nested]} if self.chance.random() < 0.5 else [nested]
            return nested
        if shape < 0.03:
            return self.scalar()
        if shape < 0.3:
            return [self.record(1) for _ in range(self.chance.randrange(4))]
        return self.record(0)

    def headers(self) -> dict[str, str]:
        chance, found = self.chance, {}
        for name in chance.sample(list(HEADERS), k=chance.choice((0, 0, 1, 1, 2, 3))):
            value = chance.choice(HEADERS[name])
            written = "".join(chance.choice((letter.lower(), letter.upper())) for letter in name)
            # An account's name may be any text, and stands in the address that asks about it.
            is_name = name == "X-AUSERNAME"
            found[written] = f"{value}{CANARY}" if chance.random() < 0.1 and not is_name else value
        return found

    def answer(self, method: str = "GET", path: str = "/") -> Answer:
        """As the door reads one: a body counts where it says that it is JSON, and is."""
        kind = self.chance.choice(TYPES).partition(";")[0].strip().lower()
        is_json = kind.startswith("application/") and kind.endswith("json")
        status = self.chance.choice(STATUSES)
        body = self.body() if is_json and status < 500 and self.chance.random() > 0.03 else None
        if body is not None and self.chance.random() < 0.1:
            body = _through_text(body)
        return Answer(
            method=method,
            path=path,
            status=status,
            headers=CaseInsensitiveDict(self.headers()),
            json=body,
            content_type=kind,
        )


def _through_text(body: Any) -> Any:
    """Written as JSON and read again by the door's own reader, duplicates and oddities included."""
    try:
        written = json.dumps(body).replace('": 1.5', '": NaN').replace('"id":', '"id": 1, "id":')
    except RecursionError:
        return None
    return _parsed(written.encode())


class MadeUpDoor(Door):
    """A real door in all but the connection: what a host answers is made up, and kept."""

    def __init__(self, made_up: Callable[[], Answers]) -> None:
        super().__init__(allow_private=True, now=lambda: NOW)
        self.made_up = made_up
        self.given: list[Answer] = []

    def _ask(self, method: str, url: str, sent: object) -> Answer:
        answer = self.made_up().answer(method, self._path(url))
        self.given.append(answer)
        return answer

"""What every registered provider owes, written once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from credentials.providers import registry
from credentials.providers.base import Provider
from credentials.providers.facts import HostFacts, Login, Revocation, Verification
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import TOKEN, door, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

EVERY = registry.names()
EVERY_KIND = [(name, kind) for name in EVERY for kind in sorted(registry.get(name).kinds)]
FACTS = HostFacts(slug="h", name="H", web_url="https://git.example", api_url="https://git.example/api")


def made(name: str, facts: HostFacts = FACTS) -> Provider:
    return registry.get(name)(
        host=facts, door=door(), now=lambda: datetime.fromisoformat("2026-11-24T12:00Z")
    )


# --- Faults: what is not known never becomes a no -----------------------------------------------------

# Every one of these comes from an outage, a proxy, a sign-in wall or a bug, not from a refused token.
FAULTS: dict[str, Reply | list[bytes]] = {
    "500": json_reply({"message": "Bad credentials"}, 500),
    "502 page": html_reply(502),
    "503": json_reply({"message": "401 Unauthorized"}, 503, Retry_After="30"),
    "504": Reply(status=504),
    "429": json_reply({"message": "Bad credentials"}, 429, Retry_After="30"),
    "200 page": html_reply(200),
    "401 page": html_reply(401),
    "403 page": html_reply(403),
    "404 page": html_reply(404),
    "200 empty": Reply(),
    "200 list": json_reply([]),
    "200 null": json_reply(None),
    "200 error": json_reply({"error": "invalid_grant", "error_description": "Token was revoked."}),
    "200 half": Reply(headers={"Content-Type": "application/json"}, body=b'{"id": 1, "login": "al'),
    "302": Reply(status=302, headers={"Location": "https://sign-in.example/"}),
    "400": json_reply({"message": "Bad Request"}, 400),
    "402": json_reply({"message": "Payment Required"}, 402),
    "410": json_reply({"type": "error", "error": {"message": "CHANGE-2770 - Functionality"}}, 410),
    "418": json_reply({}, 418),
    "cut": [],
    "garbage": [b"\x00\xff\x00"],
    "cut body": [b"HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"],
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_no_fault_says_anything_about_the_token(name: str, kind: Kind, fault: str) -> None:
    with Server(lambda seen: FAULTS[fault]) as server:
        with pytest.raises((ProviderUnreachable, ProviderRateLimited, ProviderAnswerUnexpected)) as caught:
            provider_at(server, name).verify(login(kind))
        assert caught.value.retryable
        for call in (provider_at(server, name).organizations, _revoking(provider_at(server, name))):
            try:
                call(login(kind))
            except (TokenRejected, ScopeMissing, AccessRefused) as problem:
                pytest.fail(f"{call} raised {problem!r}")
            except ProviderError as problem:
                assert problem.retryable  # noqa: PT017  # it may as well succeed


def _revoking(provider: Provider) -> Callable[[Login], object]:
    return lambda given: provider.revoke(given, client_secret=Secret("client-secret"))


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_an_outage_never_counts_as_revoked(name: str, kind: Kind) -> None:
    with Server(lambda seen: html_reply(503)) as server:
        try:
            result = provider_at(server, name).revoke(login(kind), client_secret=Secret("client-secret"))
        except ProviderUnreachable:
            return
    assert result.outcome is Revocation.MANUAL


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_a_refused_token_is_rejected(name: str, kind: Kind) -> None:
    with (
        Server(lambda seen: json_reply({"message": "Bad credentials"}, 401)) as server,
        pytest.raises(TokenRejected) as caught,
    ):
        provider_at(server, name).verify(login(kind))
    assert caught.value.status == 401
    assert caught.value.evidence.startswith("GET /")
    assert len(server.seen) == 1, "a refused token is never shown a second time"


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_not_found_is_no_word_about_the_token(name: str, kind: Kind) -> None:
    with (
        Server(lambda seen: json_reply({"message": "Not Found"}, 404)) as server,
        pytest.raises(AccessRefused) as caught,
    ):
        provider_at(server, name).verify(login(kind))
    assert caught.value.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_a_redirect_does_not_take_the_token_along(name: str, kind: Kind) -> None:
    with Server(lambda seen: json_reply({})) as canary:
        away = Reply(status=307, headers={"Location": f"{canary.url}/user"})
        with Server(lambda seen: away) as server, pytest.raises(ProviderAnswerUnexpected):
            provider_at(server, name).verify(login(kind))
    assert canary.connections == 0


def everything(name: str, kind: Kind, server: Server) -> None:
    """Call all that asks the network, whatever comes of it."""
    provider = provider_at(server, name)
    calls = (
        lambda: provider.verify(login(kind)),
        lambda: provider.organizations(login(kind)),
        lambda: provider.revoke(login(kind), client_secret=Secret("the-client-secret")),
    )
    for call in calls:
        try:
            call()
        except ProviderError as problem:
            assert TOKEN not in f"{problem!r}{problem.evidence}"  # noqa: PT017  # it may as well succeed


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_no_token_and_no_client_secret_is_ever_in_an_address(name: str, kind: Kind) -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/oauth/token/info"):
            return json_reply({"resource_owner_id": 1, "scope": ["api"], "application": {"uid": "a"}})
        facts = {"id": 1, "login": "octo-alice", "account_id": "1", "username": "octo-alice"}
        return json_reply({**facts, "scopes": ["api"], "user_id": 1, "values": []})

    with Server(script) as server:
        everything(name, kind, server)
    assert server.seen
    for seen in server.seen:
        assert TOKEN not in seen.path
        assert "client-secret" not in seen.path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "login", "username", "scopes", "scope", "error", "detail", "required", "granted", "message",
                 "account_id", "uuid", "nickname", "values", "workspace", "slug", "organization", "user_id", "active",
                 "revoked", "expires_at", "expires_in", "resource_owner_id", "application", "uid", "groups",
                 "full_path", "name", "full_name", "web_url", "next", "type"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)  # fmt: skip


HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-OAuth-Scopes", "X-GitHub-SSO", "X-Credential-Type", "X-Next-Page", "X-Total-Count", "Retry-After",
         "github-authentication-token-expiration", "X-RateLimit-Remaining"]
    ),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    max_size=3,
)  # fmt: skip
STATUS = st.sampled_from([200, 200, 200, 400, 401, 403, 404])


@pytest.mark.parametrize("name", EVERY)
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_no_answer_breaks_a_provider_or_gives_it_an_odd_fact(name: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(registry.get(name).kinds)))
    answers = data.draw(st.lists(st.tuples(STATUS, HEADERS, JSON), min_size=4, max_size=4))
    served: list[tuple[int, object]] = []

    def script(seen: Seen) -> Reply:
        status, headers, value = answers[min(len(served), 3)]
        served.append((status, value))
        reply = json_reply(value, status)
        return Reply(status=status, headers={**reply.headers, **headers}, body=reply.body)

    with Server(script) as server:
        try:
            found = provider_at(server, name).verify(login(kind))
        except TokenRejected:
            told = [
                isinstance(value, dict) and ("active" in value or "revoked" in value) for _, value in served
            ]
            assert 401 in [status for status, _ in served] or any(told)  # any error may come
            return
        except ProviderError:
            return
    assert isinstance(found, Verification)
    if found.identity:
        assert found.identity.account_id
        assert found.identity.account_id.isprintable()
        assert len(found.identity.account_name) <= 255


# --- Facts that need no network -----------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_provider_has_a_name_a_title_and_kinds(name: str) -> None:
    provider = registry.get(name)
    assert provider.name == name
    assert provider.title
    assert provider.default_kind in provider.kinds


@pytest.mark.parametrize("name", EVERY)
def test_the_public_installation_is_where_its_api_address_is_derived_from(name: str) -> None:
    public = registry.get(name).public_host()
    if public:
        assert set(public) == {"web_url", "api_url"}
        assert registry.get(name).default_api_url(public["web_url"]) == public["api_url"]
        assert all(url.startswith("https://") and not url.endswith("/") for url in public.values())


@pytest.mark.parametrize(("name", "kind"), EVERY_KIND)
def test_git_gets_a_user_name_and_the_very_token(name: str, kind: Kind) -> None:
    given_login = login(kind)
    pair = made(name).git_login(given_login)
    assert pair.username
    assert pair.username.isascii()
    assert ":" not in pair.username
    assert pair.password is given_login.token


@pytest.mark.parametrize("name", EVERY)
def test_the_guide_leads_through_the_making_of_a_token(name: str) -> None:
    guide = made(name).guide()
    assert guide.create_url.startswith("https://")
    assert guide.manage_url.startswith("https://git.example/")
    assert str(guide.kind_title)
    assert len(guide.steps) >= 2
    assert all(str(step).endswith(".") for step in guide.steps)
    assert guide.fields[0] == "token"
    assert set(guide.fields) <= {"token", "email", "username"}
    assert any(need.required for need in guide.scopes)
    assert all(str(need.reason).endswith(".") for need in guide.scopes)


@pytest.mark.parametrize("name", EVERY)
def test_oauth_asks_for_the_least_scopes_and_never_for_none(name: str) -> None:
    if not registry.get(name).oauth_available:
        return
    endpoints = made(name).oauth()
    assert endpoints.scopes
    assert not {
        scope for scope in endpoints.scopes if "write" in scope or "admin" in scope or scope in {"api", "all"}
    }
    assert endpoints.authorize_url.startswith("https://git.example/")
    assert endpoints.token_url.startswith("https://git.example/")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://git.example/orgs/acme/sso?x=1", True),
        ("https://git.example", True),
        ("https://evil.example/orgs/acme/sso", False),
        ("https://git.example.evil/", False),
        ("https://git.example@evil.example/", False),
        ("http://git.example/", False),
        ("javascript:alert(1)", False),
        ("//git.example/", False),
        ("https://git.example:8443/", False),
        ("https://git.example/\nx", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_people_are_sent_only_to_pages_of_the_host_itself(name: str, url: str, own: bool) -> None:
    assert made(name).own_url(url) == (url if own else "")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "invalid_grant"}, TokenRejected),
        ({"error": "bad_refresh_token", "error_description": "…"}, TokenRejected),
        ({"error": "bad_verification_code"}, TokenRejected),
        ({"error": "invalid_client"}, ProviderAnswerUnexpected),
        ({"error": "incorrect_client_credentials"}, ProviderAnswerUnexpected),
        ({"error": "unauthorized_client"}, ProviderAnswerUnexpected),
        ({"error": "redirect_uri_mismatch"}, ProviderAnswerUnexpected),
        ({"error": "temporarily_unavailable"}, ProviderUnreachable),
        ({"error": {"code": 1}}, ProviderAnswerUnexpected),
        ({}, ProviderAnswerUnexpected),
        ([], ProviderAnswerUnexpected),
    ],
)
def test_only_a_refused_grant_rejects_a_grant(name: str, answer: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        made(name).read_grant(answer)


# --- The help page's tokens, at the sandbox -----------------------------------------------------------

HELP_PAGE: tuple[tuple[str, Kind, tuple[str, ...], bool], ...] = (
    ("github", Kind.PERSONAL_TOKEN, ("repo",), True),
    ("gitlab", Kind.PERSONAL_TOKEN, ("read_repository",), True),
    ("bitbucket", Kind.API_TOKEN, ("read:repository:bitbucket",), False),
    ("gitea", Kind.PERSONAL_TOKEN, ("read:repository",), False),
    ("github-enterprise", Kind.PERSONAL_TOKEN, ("repo",), True),
    ("bitbucket-server", Kind.PERSONAL_TOKEN, ("REPO_READ",), True),
    ("azure", Kind.PERSONAL_TOKEN, ("vso.code",), False),
)

# Nothing tells what a token may do at these.
SILENT = {"bitbucket-server", "azure"}


@pytest.mark.parametrize(("slug", "kind", "scopes", "knows_account"), HELP_PAGE)
def test_the_token_of_the_help_page_is_proved(
    sandbox: RunningSandbox, slug: str, kind: Kind, scopes: Iterable[str], knows_account: bool
) -> None:
    given_login = login_in(sandbox, slug, kind, tuple(scopes))
    found = provider_in(sandbox, slug).verify(given_login)
    assert found.missing_scopes == ()
    assert (found.identity is not None) is knows_account
    assert found.kind is kind
    assert found.evidence


@pytest.mark.parametrize("slug", [slug for slug, *_rest in HELP_PAGE])
def test_a_token_nobody_made_is_rejected(sandbox: RunningSandbox, slug: str) -> None:
    provider = provider_in(sandbox, slug)
    with pytest.raises(TokenRejected):
        provider.verify(login(provider.default_kind, token="x" * 40))


@pytest.mark.parametrize(("slug", "kind", "scopes", "_knows"), HELP_PAGE)
def test_the_scopes_the_guide_requires_are_enough_and_without_them_something_is_missing(
    sandbox: RunningSandbox, slug: str, kind: Kind, scopes: tuple[str, ...], _knows: bool
) -> None:
    provider = provider_in(sandbox, slug)
    needed = [need.scope for need in provider.guide().scopes if need.required]
    comfort = [need.scope for need in provider.guide().scopes if not need.required]
    assert tuple(needed) == scopes
    assert provider.verify(login_in(sandbox, slug, kind, [*needed, *comfort])).missing_scopes == ()
    if slug not in SILENT:
        assert provider.verify(login_in(sandbox, slug, kind, comfort)).missing_scopes == scopes

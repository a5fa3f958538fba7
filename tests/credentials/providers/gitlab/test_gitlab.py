"""GitLab: a token that describes itself, and wordings of refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.facts import HostFacts, Identity, OrganizationState, Revocation
from credentials.providers.gitlab import GitLab
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import NOW, door, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

SSO = (
    "Cannot find valid SSO session. Please login via your group's SSO at "
    "https://gitlab.com/groups/acme/-/saml/sso?token=abc"
)
SELF = {
    "id": 1,
    "revoked": False,
    "active": True,
    "scopes": ["read_repository"],
    "user_id": 42,
    "expires_at": None,
}


def gitlab(web_url: str = "https://gitlab.com") -> GitLab:
    facts = HostFacts(slug="gitlab", name="GitLab", web_url=web_url, api_url=f"{web_url}/api/v4")
    return GitLab(host=facts, door=door(), now=lambda: NOW)


def answer(status: int, body: object) -> Answer:
    return Answer(method="GET", path="/x", status=status, headers={}, json=body)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(403, {"error": "insufficient_scope", "scope": "api read_api"}), ScopeMissing),
        (answer(403, {"message": "403 Forbidden"}), AccessRefused),
        (answer(404, {"message": "404 Project Not Found"}), AccessRefused),
        (answer(401, {"message": "401 Unauthorized"}), TokenRejected),
        (
            answer(401, {"error": "dpop_error", "error_description": "DPoP header is missing"}),
            ProviderAnswerUnexpected,
        ),
        (answer(400, {"message": "400 Bad request"}), ProviderAnswerUnexpected),
    ],
)
def test_answers_are_matched_in_the_order_of_the_fact_sheet(given: Answer, kind: type[ProviderError]) -> None:
    assert type(gitlab().translate(given)) is kind


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize …"},
            "revoked",
        ),
        ({"error": "invalid_token", "error_description": "Token is expired. You can either do …"}, "expired"),
        ({"message": "401 Unauthorized"}, "invalid"),
        ([], "invalid"),
    ],
)
def test_revoked_expired_and_invalid_are_told_apart(body: object, reason: str) -> None:
    problem = gitlab().translate(answer(401, body))
    assert isinstance(problem, TokenRejected)
    assert problem.reason == reason


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_missing_group_session_is_no_word_about_the_token(status: int) -> None:
    problem = gitlab().translate(answer(status, {"message": SSO}))
    assert isinstance(problem, AccessRefused)
    assert problem.verdict_code == VerdictCode.SSO_REQUIRED
    assert problem.url == "https://gitlab.com/groups/acme/-/saml/sso?token=abc"
    elsewhere = gitlab("https://git.example").translate(answer(status, {"message": SSO}))
    assert isinstance(elsewhere, AccessRefused)
    assert elsewhere.url == ""


def test_the_scopes_that_are_wanted_are_named() -> None:
    problem = gitlab().translate(answer(403, {"error": "insufficient_scope", "scope": "api read_api"}))
    assert isinstance(problem, ScopeMissing)
    assert problem.required == ("api", "read_api")


def test_read_repository_alone_shows_the_account_only_by_its_number(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_repository",))
    found = provider_in(sandbox, "gitlab").verify(given)
    assert found.identity is not None
    assert found.identity.account_name == ""
    assert found.identity.label == f"#{found.identity.account_id}"
    assert found.scopes == ("read_repository",)
    assert found.expires_at is not None
    assert (found.expires_at.hour, found.expires_at.tzinfo) == (0, UTC)


@pytest.mark.parametrize("scopes", [("read_repository", "read_user"), ("read_api",), ("api",)])
def test_a_scope_that_shows_the_user_names_the_account(
    sandbox: RunningSandbox, scopes: tuple[str, ...]
) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, scopes)
    found = provider_in(sandbox, "gitlab").verify(given)
    assert found.identity is not None
    assert found.identity.account_name == "octo-alice"
    assert found.missing_scopes == ()


def test_an_oauth_token_is_described_by_the_token_endpoint(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.OAUTH, ("read_repository", "read_user"))
    found = provider_in(sandbox, "gitlab").verify(given)
    assert found.identity is not None
    assert found.identity.account_name == "octo-alice"
    assert found.oauth_client_id == sandbox.hosts["gitlab"].client_id
    assert found.expires_at is not None
    assert timedelta(0) < found.expires_at - datetime.now(UTC) <= timedelta(hours=2)


@pytest.mark.parametrize(
    ("change", "reason"), [({"revoked": True}, "revoked"), ({"expires_in": -1}, "expired")]
)
def test_a_dead_token_says_how_it_died(
    sandbox: RunningSandbox, change: dict[str, object], reason: str
) -> None:
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_repository"])
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", change)
    with pytest.raises(TokenRejected) as caught:
        provider_in(sandbox, "gitlab").verify(login(Kind.PERSONAL_TOKEN, token=minted.token))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"), [({"revoked": True}, "revoked"), ({"active": False}, "expired")]
)
def test_a_token_that_describes_itself_as_ended_is_rejected(change: dict[str, object], reason: str) -> None:
    with (
        Server(lambda seen: json_reply({**SELF, **change})) as server,
        pytest.raises(TokenRejected) as caught,
    ):
        provider_at(server, "gitlab").verify(login(Kind.PERSONAL_TOKEN))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (["read_repository"], ()),
        (["write_repository"], ()),
        (["read_user"], ("read_repository",)),
        (["granular"], ()),
        ([], ()),
    ],
)
def test_only_a_known_lack_is_reported(scopes: list[str], missing: tuple[str, ...]) -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({**SELF, "scopes": scopes} if seen.path.endswith("/self") else {"id": 42})

    with Server(script) as server:
        assert provider_at(server, "gitlab").verify(login(Kind.PERSONAL_TOKEN)).missing_scopes == missing


@pytest.mark.parametrize(
    "reply", [html_reply(502), html_reply(200), json_reply({"message": "403 Forbidden"}, 403)]
)
def test_where_only_the_name_cannot_be_had_the_token_is_proved_all_the_same(reply: Reply) -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({**SELF, "scopes": ["read_api"]}) if seen.path.endswith("/self") else reply

    with Server(script) as server:
        found = provider_at(server, "gitlab").verify(login(Kind.PERSONAL_TOKEN))
    assert found.identity == Identity(account_id="42")
    assert len(found.evidence) == 2


def test_the_name_of_another_account_is_not_taken_over() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/self"):
            return json_reply({**SELF, "scopes": ["read_user"]})
        return json_reply({"id": 99, "username": "somebody-else"})

    with Server(script) as server:
        found = provider_at(server, "gitlab").verify(login(Kind.PERSONAL_TOKEN))
    assert found.identity == Identity(account_id="42")


@pytest.mark.parametrize(
    ("username", "kind"),
    [
        ("project_4711_bot_0123456789abcdef", Kind.ACCESS_TOKEN),
        ("group_7_bot", Kind.ACCESS_TOKEN),
        ("project_manager", Kind.PERSONAL_TOKEN),
        ("octo-alice", Kind.PERSONAL_TOKEN),
    ],
)
def test_the_user_behind_a_project_token_gives_its_kind_away(username: str, kind: Kind) -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.endswith("/self"):
            return json_reply({**SELF, "scopes": ["read_api"]})
        return json_reply({"id": 42, "username": username})

    with Server(script) as server:
        assert provider_at(server, "gitlab").verify(login(Kind.PERSONAL_TOKEN)).kind is kind


@pytest.mark.parametrize(
    ("scopes", "call"), [(("read_repository",), "associations"), (("read_api",), "/api/v4/groups ")]
)
def test_groups_are_listed_with_the_least_scope_there_is(
    sandbox: RunningSandbox, scopes: tuple[str, ...], call: str
) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, scopes)
    facts = provider_in(sandbox, "gitlab").organizations(given)
    assert facts is not None
    assert {fact.key for fact in facts} >= {"acme", "assxxx"}
    assert {fact.state for fact in facts} == {OrganizationState.ACCESSIBLE}
    assert all(call in fact.evidence for fact in facts)


def test_an_oauth_token_without_read_api_cannot_tell_its_groups(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.OAUTH, ("read_repository", "read_user"))
    assert provider_in(sandbox, "gitlab").organizations(given) is None


def test_a_server_too_old_for_associations_leaves_the_groups_unknown() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/groups"):
            return json_reply({"error": "insufficient_scope", "scope": "read_api"}, 403)
        return json_reply({"message": "404 Not Found"}, 404)

    with Server(script) as server:
        assert provider_at(server, "gitlab").organizations(login(Kind.PERSONAL_TOKEN)) is None


def test_half_a_list_of_groups_is_no_list() -> None:
    def script(seen: Seen) -> Reply:
        if "page=2" in seen.path:
            return html_reply(503)
        return json_reply([{"full_path": "acme", "full_name": "Acme"}], X_Next_Page="2")

    with Server(script) as server, pytest.raises(ProviderUnreachable):
        provider_at(server, "gitlab").organizations(login(Kind.PERSONAL_TOKEN))


def test_all_pages_of_groups_are_read() -> None:
    def script(seen: Seen) -> Reply:
        if "&page=2" in seen.path:
            return json_reply([{"full_path": "acme/sub", "full_name": "Acme / Sub"}], X_Next_Page="")
        return json_reply([{"full_path": "acme", "full_name": "Acme"}], X_Next_Page="2")

    with Server(script) as server:
        facts = provider_at(server, "gitlab").organizations(login(Kind.PERSONAL_TOKEN))
    assert [fact.key for fact in facts or ()] == ["acme", "acme/sub"]


@pytest.mark.parametrize("kind", [Kind.PERSONAL_TOKEN, Kind.OAUTH])
def test_a_token_is_revoked_for_good(sandbox: RunningSandbox, kind: Kind) -> None:
    provider = provider_in(sandbox, "gitlab")
    given = login_in(sandbox, "gitlab", kind, ("read_repository",))
    client_secret = Secret(sandbox.hosts["gitlab"].client_secret)
    assert provider.revoke(given, client_secret=client_secret).outcome is Revocation.REVOKED
    with pytest.raises(TokenRejected):
        provider.verify(given)


def test_a_personal_token_that_is_dead_already_is_said_to_be(sandbox: RunningSandbox) -> None:
    result = provider_in(sandbox, "gitlab").revoke(login(Kind.PERSONAL_TOKEN), client_secret=None)
    assert result.outcome is Revocation.ALREADY_INVALID


def test_without_a_client_secret_an_oauth_token_is_revoked_by_hand() -> None:
    result = gitlab().revoke(login(Kind.OAUTH), client_secret=None)
    assert result.manual_url == "https://gitlab.com/-/user_settings/applications"


def test_the_prefilled_form_is_linked_where_it_surely_exists() -> None:
    public, own = gitlab().guide(), gitlab("https://git.example").guide()
    query = "?name=Forgekey&scopes=read_repository%2Cread_user"
    assert public.create_url == f"https://gitlab.com/-/user_settings/personal_access_tokens/legacy/new{query}"
    assert own.create_url == f"https://git.example/-/user_settings/personal_access_tokens{query}"

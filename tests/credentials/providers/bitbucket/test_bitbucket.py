"""Bitbucket Cloud: e-mail and token, proof by refusal, workspaces."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.bitbucket import Bitbucket
from credentials.providers.facts import HostFacts, OrganizationState, Revocation
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import NOW, TOKEN, door, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.sandbox import RunningSandbox

LACKING = {
    "type": "error",
    "error": {
        "message": "Your credentials lack one or more required privilege scopes.",
        "detail": {"required": ["read:user:bitbucket"], "granted": ["read:repository:bitbucket"]},
    },
}
ALL_SCOPES = ("read:repository:bitbucket", "read:user:bitbucket", "read:workspace:bitbucket")


def bitbucket() -> Bitbucket:
    facts = HostFacts(slug="bitbucket", name="Bitbucket", **Bitbucket.public_host())
    return Bitbucket(host=facts, door=door(), now=lambda: NOW)


def answer(status: int, body: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(method="GET", path="/x", status=status, headers=named, json=body)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(403, LACKING), ScopeMissing),
        (answer(403, {"type": "error", "error": {"message": "Forbidden"}}), AccessRefused),
        (answer(401, {"type": "error", "error": {"message": "Token is invalid, expired, …"}}), TokenRejected),
        (answer(401, None, WWW_Authenticate='Basic realm="Bitbucket.org HTTP"'), TokenRejected),
        (answer(401, None, WWW_Authenticate='Basic realm="Corporate proxy"'), ProviderUnreachable),
        (answer(404, {"type": "error", "error": {"message": "…"}}), AccessRefused),
        (answer(404, None), ProviderUnreachable),
        (answer(410, {"type": "error", "error": {"message": "CHANGE-2770 - …"}}), ProviderAnswerUnexpected),
    ],
)
def test_answers_are_matched_in_the_order_of_the_fact_sheet(given: Answer, kind: type[ProviderError]) -> None:
    assert type(bitbucket().translate(given)) is kind


def test_required_and_granted_scopes_are_named() -> None:
    problem = bitbucket().translate(answer(403, LACKING))
    assert isinstance(problem, ScopeMissing)
    assert problem.required == ("read:user:bitbucket",)
    assert problem.granted == ("read:repository:bitbucket",)


def test_an_api_token_goes_with_the_email_address_and_the_others_alone() -> None:
    with Server(lambda seen: json_reply({"account_id": "557058:1", "nickname": "octo-alice"})) as server:
        for kind in (Kind.API_TOKEN, Kind.ACCESS_TOKEN, Kind.OAUTH):
            provider_at(server, "bitbucket").verify(login(kind))
    basic, *bearers = [seen.headers["Authorization"] for seen in server.seen]
    pair = base64.b64decode(basic.removeprefix("Basic ")).decode()
    assert pair == f"octo-alice@example.test:{TOKEN}"
    assert bearers == [f"Bearer {TOKEN}"] * 2


def test_without_an_email_address_nothing_is_asked() -> None:
    with Server(lambda seen: json_reply({})) as server, pytest.raises(AccessRefused) as caught:
        provider_at(server, "bitbucket").verify(replace(login(Kind.API_TOKEN), email=""))
    assert caught.value.verdict_code == VerdictCode.EMAIL_REQUIRED
    assert server.seen == []


def test_a_wrong_email_address_is_a_rejection(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ALL_SCOPES)
    with pytest.raises(TokenRejected):
        provider_in(sandbox, "bitbucket").verify(replace(given, email="octo-bob@example.test"))


def test_the_least_scope_is_proved_by_a_refusal(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ("read:repository:bitbucket",))
    found = provider_in(sandbox, "bitbucket").verify(given)
    assert found.identity is None
    assert found.scopes == ("read:repository:bitbucket",)
    assert found.evidence == ("GET /2.0/user 403",)


def test_with_the_user_scope_the_account_is_known_by_its_immutable_id(sandbox: RunningSandbox) -> None:
    found = provider_in(sandbox, "bitbucket").verify(
        login_in(sandbox, "bitbucket", Kind.API_TOKEN, ALL_SCOPES)
    )
    assert found.identity is not None
    assert found.identity.account_id.startswith("557058:")
    assert found.identity.account_name == "octo-alice"


def test_an_access_token_belongs_to_nobody_and_is_proved(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.ACCESS_TOKEN, ("repository",))
    found = provider_in(sandbox, "bitbucket").verify(given)
    assert (found.identity, found.kind, found.missing_scopes) == (None, Kind.ACCESS_TOKEN, ())


def test_an_access_token_is_also_proved_by_the_headers_of_a_bare_refusal() -> None:
    bare = {"type": "error", "error": {"message": "Forbidden"}}
    reply = json_reply(bare, 403, X_Credential_Type="workspace_access_token", X_OAuth_Scopes="pullrequest")
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "bitbucket").verify(login(Kind.ACCESS_TOKEN))
    assert (found.kind, found.scopes, found.missing_scopes) == (
        Kind.ACCESS_TOKEN,
        ("pullrequest",),
        ("repository",),
    )


def test_a_bare_refusal_without_those_headers_proves_nothing() -> None:
    reply = json_reply({"type": "error", "error": {"message": "Forbidden"}}, 403)
    with Server(lambda seen: reply) as server, pytest.raises(AccessRefused):
        provider_at(server, "bitbucket").verify(login(Kind.ACCESS_TOKEN))


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("read:user:bitbucket", ("read:repository:bitbucket",)),
        ("write:repository:bitbucket", ("read:repository:bitbucket",)),
        ("read:user:bitbucket, read:repository:bitbucket", ()),
        ("", ("read:repository:bitbucket",)),
    ],
)
def test_no_scope_implies_another(shown: str, missing: tuple[str, ...]) -> None:
    reply = json_reply({"account_id": "1:2"}, X_OAuth_Scopes=shown)
    with Server(lambda seen: reply) as server:
        assert provider_at(server, "bitbucket").verify(login(Kind.API_TOKEN)).missing_scopes == missing


def test_a_retired_app_password_is_refused_by_the_provider_too(sandbox: RunningSandbox) -> None:
    minted = sandbox.mint("bitbucket", "octo-alice", "app_password", [])
    with pytest.raises(TokenRejected):
        provider_in(sandbox, "bitbucket").verify(login(Kind.API_TOKEN, token=minted.token))


def test_workspaces_are_listed_and_asked_one_by_one(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "bitbucket", Kind.API_TOKEN, ALL_SCOPES)
    facts = provider_in(sandbox, "bitbucket").organizations(given)
    assert facts is not None
    found = {fact.key: fact for fact in facts}
    assert set(found) >= {"octo-alice", "acme", "assxxx"}
    assert found["assxxx"].state is OrganizationState.ACCESSIBLE
    assert found["assxxx"].evidence == "GET /2.0/repositories/assxxx 200"


@pytest.mark.parametrize("kind", [Kind.API_TOKEN, Kind.ACCESS_TOKEN])
def test_without_the_workspace_scope_the_workspaces_are_unknown(sandbox: RunningSandbox, kind: Kind) -> None:
    scopes = ("read:repository:bitbucket",) if kind is Kind.API_TOKEN else ("repository",)
    given = login_in(sandbox, "bitbucket", kind, scopes)
    assert provider_in(sandbox, "bitbucket").organizations(given) is None


def test_the_address_of_the_next_page_is_not_followed() -> None:
    with Server(lambda seen: json_reply({"values": []})) as canary:

        def script(seen: Seen) -> Reply:
            if seen.path.startswith("/api/user/workspaces"):
                number = 2 if "page=2" in seen.path else 1
                page: dict[str, object] = {"values": [{"workspace": {"slug": f"ws{number}"}}]}
                return json_reply(page | ({"next": f"{canary.url}/steal"} if number == 1 else {}))
            return json_reply({"values": []})

        with Server(script) as server:
            facts = provider_at(server, "bitbucket").organizations(login(Kind.API_TOKEN))
    assert [fact.key for fact in facts or ()] == ["ws1", "ws2"]
    assert canary.connections == 0


def test_half_a_list_of_workspaces_is_no_list() -> None:
    def script(seen: Seen) -> Reply:
        if "page=2" in seen.path:
            return html_reply(404)
        return json_reply(
            {"values": [{"workspace": {"slug": "acme"}}], "next": "https://api.bitbucket.org/…"}
        )

    with Server(script) as server, pytest.raises(ProviderUnreachable):
        provider_at(server, "bitbucket").organizations(login(Kind.API_TOKEN))


@pytest.mark.parametrize(
    ("kind", "username"),
    [
        (Kind.API_TOKEN, "x-bitbucket-api-token-auth"),
        (Kind.ACCESS_TOKEN, "x-token-auth"),
        (Kind.OAUTH, "x-token-auth"),
    ],
)
def test_git_gets_the_user_name_of_the_kind_and_never_the_email(kind: Kind, username: str) -> None:
    assert bitbucket().git_login(login(kind)).username == username


def test_revocation_is_left_to_the_person_on_the_right_page() -> None:
    pages = {kind: bitbucket().revoke(login(kind), client_secret=None) for kind in Bitbucket.kinds}
    assert {result.outcome for result in pages.values()} == {Revocation.MANUAL}
    assert pages[Kind.API_TOKEN].manual_url == "https://id.atlassian.com/manage-profile/security/api-tokens"
    assert pages[Kind.OAUTH].manual_url == "https://bitbucket.org/account/settings/app-authorizations/"


def test_the_form_asks_for_token_and_email() -> None:
    assert bitbucket().guide().fields == ("token", "email")
    assert bitbucket().oauth().client_in_basic_auth is True

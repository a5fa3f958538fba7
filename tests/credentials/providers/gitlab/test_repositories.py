"""GitLab's projects: nested groups, and tokens that may only ask about themselves."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ScopeMissing, TokenRejected
from credentials.providers.facts import RepositoryPlace
from credentials.providers.gitlab import GitLab
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.sandbox import RunningSandbox

INSUFFICIENT = json_reply({"error": "insufficient_scope", "scope": "api read_api"}, 403)


def place(address: str) -> RepositoryPlace:
    found = GitLab.place(tuple(address.split("/")))
    assert found is not None
    return found


def project(path: str, **facts: object) -> dict[str, object]:
    return {"path_with_namespace": path, "visibility": "private", "default_branch": "main", **facts}


def listing(*paths: str) -> list[dict[str, object]]:
    return [project(path) for path in paths]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("acme/cases", "acme/cases"),
        ("Acme/Sub.Group/cases", "Acme/Sub.Group/cases"),
        ("acme/cases/-/tree/main/docs", "acme/cases"),
        ("a/b/c/d/-/merge_requests/1", "a/b/c/d"),
        ("acme/sub/cases/-", "acme/sub/cases"),
        ("acme/sub/cases/tree/main", "acme/sub/cases"),
        ("acme/cases/blob/main/README.md", "acme/cases"),
        ("tree/cases", "tree/cases"),
        ("acme/_cases", "acme/_cases"),
        ("/".join("abcdefghijklmnopqrstuv"), "/".join("abcdefghijklmnopqrstuv")),
    ],
)
def test_an_address_names_the_project_up_to_the_lone_hyphen(address: str, path: str) -> None:
    assert place(address).path == path


@pytest.mark.parametrize(
    "address",
    ["acme", "acme/-/issues", "groups/acme/-/saml/sso", "-/user_settings/personal_access_tokens", "acme/tree/main",
     "users/sign_in", "explore/projects", "dashboard/projects", "API/v4", "acme/ca ses", "acme/..", "a/b@c",
     "acme/-cases", "/".join("abcdefghijklmnopqrstuvw")],
)  # fmt: skip
def test_what_can_be_no_project_is_none(address: str) -> None:
    assert GitLab.place(tuple(address.split("/"))) is None


def test_no_segments_are_no_project() -> None:
    assert GitLab.place(()) is None


def test_every_group_above_may_have_rules_the_nearest_first() -> None:
    found = place("Acme/Sub/Deep/Cases")
    assert found.owner == "Acme/Sub/Deep"
    assert found.organizations == ("Acme/Sub/Deep", "Acme/Sub", "Acme")
    assert found.key == "acme/sub/deep/cases"


def test_a_nested_project_is_asked_for_as_one_segment_and_cloned_from_the_hosts_own_address() -> None:
    evil = "https://evil.example/a/b.git"
    reply = json_reply(project("Acme/sub/Cases", http_url_to_repo=evil, web_url=evil))
    with Server(lambda seen: reply) as server:
        found = provider_at(server, "gitlab").repository(place("acme/sub/cases"), login=login(Kind.OAUTH))
    assert server.seen[0].path == "/api/projects/acme%2Fsub%2Fcases"
    assert (found.path, found.clone_url) == ("Acme/sub/Cases", f"{server.url}/Acme/sub/Cases.git")
    assert (found.private, found.default_branch, found.reads_contents) == (True, "main", True)
    assert found.evidence == "GET /api/projects/acme%2Fsub%2Fcases 200"


@pytest.mark.parametrize(
    ("facts", "kind", "reads"),
    [
        ({}, Kind.OAUTH, True),
        ({}, Kind.ACCESS_TOKEN, True),
        ({}, Kind.PERSONAL_TOKEN, None),
        ({"visibility": "public"}, Kind.PERSONAL_TOKEN, True),
        ({"default_branch": None}, Kind.OAUTH, None),
        ({"default_branch": None, "visibility": "public"}, Kind.PERSONAL_TOKEN, None),
    ],
)
def test_only_a_shown_branch_proves_that_git_may_read_and_not_for_a_token_that_may_be_fine_grained(
    facts: dict[str, object], kind: Kind, reads: bool | None
) -> None:
    with Server(lambda seen: json_reply(project("acme/cases", **facts))) as server:
        found = provider_at(server, "gitlab").repository(place("acme/cases"), login=login(kind))
    assert found.reads_contents is reads


@pytest.mark.parametrize(
    ("visibility", "private"),
    [("private", True), ("internal", True), ("public", False), (None, None), ("odd", None)],
)
def test_whether_a_project_is_private_is_known_only_where_it_is_said(
    visibility: object, private: bool | None
) -> None:
    with Server(lambda seen: json_reply(project("acme/cases", visibility=visibility))) as server:
        provider = provider_at(server, "gitlab")
        assert provider.repository(place("acme/cases"), login=login(Kind.OAUTH)).private is private
        # What a stranger is shown is public, whatever else is said of it.
        assert provider.repository(place("acme/cases"), login=None).private is False


def test_a_renamed_project_is_found_under_its_new_name() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path == "/api/projects/acme%2Fold":
            return json_reply({}, 301, Location=f"{server.url}/api/projects/42")
        return json_reply(project("acme/newer"))

    with Server(script) as server:
        found = provider_at(server, "gitlab").repository(place("acme/old"), login=login(Kind.OAUTH))
    assert (found.path, found.clone_url) == ("acme/newer", f"{server.url}/acme/newer.git")
    assert found.evidence == "GET /api/projects/42 200: moved"


@pytest.mark.parametrize("path", ["", "acme", "acme/cases/-/tree", "../x", "a b/c", 7, None])
def test_a_project_without_a_usable_name_is_no_answer(path: object) -> None:
    reply = json_reply({"path_with_namespace": path, "visibility": "private"})
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        provider_at(server, "gitlab").repository(place("acme/cases"), login=login(Kind.OAUTH))


# --- At the sandbox ---------------------------------------------------------------------------------------


def test_a_private_project_is_shown_to_read_api_only(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "gitlab")
    found = provider.repository(
        place("acme/cases"), login=login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    )
    assert (found.path, found.private) == ("acme/cases", True)
    narrow = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_repository",))
    with pytest.raises(ScopeMissing):
        provider.repository(place("acme/cases"), login=narrow)
    with pytest.raises(AccessRefused):
        provider.repository(place("acme/cases"), login=None)
    assert provider.repository(place("acme/public-cases"), login=None).reads_contents is True


@pytest.mark.parametrize(
    ("switch", "code", "status"),
    [
        ("sso", VerdictCode.SSO_REQUIRED, 400),
        ("ip_allow_list", VerdictCode.NOT_FOUND_OR_NO_ACCESS, 404),
        ("blocked", VerdictCode.NOT_FOUND_OR_NO_ACCESS, 403),
    ],
)
def test_what_a_group_forbids_is_no_word_about_the_token(
    sandbox: RunningSandbox, switch: str, code: VerdictCode, status: int
) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ("read_api",))
    sandbox.control("gitlab", "POST", "organizations/acme", {switch: True})
    with pytest.raises(AccessRefused) as caught:
        provider_in(sandbox, "gitlab").repository(place("acme/cases"), login=given)
    assert (caught.value.verdict_code, caught.value.status) == (code, status)
    web = sandbox.hosts["gitlab"].web_url
    assert caught.value.url.startswith(f"{web}/groups/acme/-/saml/sso" if switch == "sso" else "")


def test_a_project_token_reaches_its_project_and_nothing_else(sandbox: RunningSandbox) -> None:
    given = login_in(
        sandbox,
        "gitlab",
        Kind.ACCESS_TOKEN,
        ("read_api",),
        minted_as="project_access_token",
        resource="sso-corp/cases",
    )
    provider = provider_in(sandbox, "gitlab")
    assert provider.repository(place("sso-corp/cases"), login=given).reads_contents is True
    for elsewhere in ("acme/cases", "sso-corp/nothing"):
        with pytest.raises(AccessRefused) as caught:
            provider.repository(place(elsewhere), login=given)
        assert caught.value.status == 404
    page = provider.repositories(given)
    assert page is not None
    assert [fact.path for fact in page.repositories if fact.private] == ["sso-corp/cases"]


def test_a_dead_token_is_rejected_here_too(sandbox: RunningSandbox) -> None:
    with pytest.raises(TokenRejected):
        provider_in(sandbox, "gitlab").repository(place("acme/cases"), login=login(Kind.PERSONAL_TOKEN))


@pytest.mark.parametrize(
    ("scopes", "call"),
    [(("read_api",), "/api/v4/projects "), (("read_repository",), "self/associations ")],
)
def test_projects_are_listed_with_the_least_scope_there_is(
    sandbox: RunningSandbox, scopes: tuple[str, ...], call: str
) -> None:
    given = login_in(sandbox, "gitlab", Kind.PERSONAL_TOKEN, scopes)
    page = provider_in(sandbox, "gitlab").repositories(given)
    assert page is not None
    assert {fact.path for fact in page.repositories} >= {"octo-alice/private-cases", "acme/cases"}
    assert "octo-bob/own-cases" not in {fact.path for fact in page.repositories}
    assert all(call in fact.evidence for fact in page.repositories)
    narrow = provider_in(sandbox, "gitlab").repositories(given, query="ACME/")
    assert narrow is not None
    assert {fact.path for fact in narrow.repositories} == {"acme/cases", "acme/public-cases"}


def test_an_oauth_token_without_read_api_cannot_list(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "gitlab", Kind.OAUTH, ("read_repository", "read_user"))
    assert provider_in(sandbox, "gitlab").repositories(given) is None


# --- Lists, page by page ----------------------------------------------------------------------------------


def asked(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


def test_a_cursor_leads_from_page_to_page() -> None:
    def script(seen: Seen) -> Reply:
        number = asked(seen)["page"]
        return json_reply(listing(f"acme/p{number}"), X_Next_Page="2" if number == "1" else "")

    with Server(script) as server:
        provider = provider_at(server, "gitlab")
        first = provider.repositories(login(Kind.OAUTH), query=" ca&ses ")
        assert first is not None
        second = provider.repositories(login(Kind.OAUTH), cursor=first.next_cursor)
    assert second is not None
    assert [fact.path for fact in (*first.repositories, *second.repositories)] == ["acme/p1", "acme/p2"]
    assert second.next_cursor == ""
    assert (asked(server.seen[0])["search"], asked(server.seen[0])["membership"]) == ("ca&ses", "true")


def test_associations_are_searched_here_over_several_pages_and_go_on_where_they_stopped() -> None:
    def script(seen: Seen) -> Reply:
        if seen.path.startswith("/api/projects"):
            return INSUFFICIENT
        number = int(asked(seen)["page"])
        names = [f"acme/{'wanted' if number == 7 else 'other'}{number}"]
        return json_reply({"groups": [], "projects": listing(*names)}, X_Next_Page=str(number + 1))

    with Server(script) as server:
        provider = provider_at(server, "gitlab")
        first = provider.repositories(login(Kind.PERSONAL_TOKEN), query="wanted")
        assert first is not None
        assert (first.repositories, first.next_cursor) == ((), "6")
        second = provider.repositories(login(Kind.PERSONAL_TOKEN), query="wanted", cursor=first.next_cursor)
    assert second is not None
    assert [fact.path for fact in second.repositories] == ["acme/wanted7"]
    assert asked(server.seen[1])["min_access_level"] == "20"


def test_a_server_without_associations_lists_nothing() -> None:
    def script(seen: Seen) -> Reply:
        is_list = seen.path.startswith("/api/projects")
        return INSUFFICIENT if is_list else json_reply({"message": "404 Not Found"}, 404)

    with Server(script) as server:
        assert provider_at(server, "gitlab").repositories(login(Kind.PERSONAL_TOKEN)) is None


def test_what_is_no_project_is_left_out_of_a_list() -> None:
    entries = [*listing("acme/cases"), {"path_with_namespace": "../x"}, 7, None]
    with Server(lambda seen: json_reply(entries)) as server:
        page = provider_at(server, "gitlab").repositories(login(Kind.OAUTH))
    assert page is not None
    assert [fact.path for fact in page.repositories] == ["acme/cases"]

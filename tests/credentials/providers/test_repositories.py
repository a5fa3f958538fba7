"""Strangers, moved repositories, pages and what people type: the same at every provider that shares them."""

from __future__ import annotations

import pytest

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ProviderUnreachable, TokenRejected
from credentials.providers.facts import RepositoryPlace
from credentials.providers.repositories import ask_for_repository, git_address, narrowed, page_number
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import TOKEN, login, provider_at
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply

MINE = login(Kind.PERSONAL_TOKEN)


def moved(location: str, status: int = 301) -> Reply:
    return json_reply({"message": "Moved"}, status, Location=location)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/api/repos/new/name", "{url}/api/repos/new/name", "../new/name"])
def test_a_moved_repository_is_asked_for_where_the_same_api_says(location: str, status: int) -> None:
    def script(seen: Seen) -> Reply:
        if seen.path == "/api/repos/old/name":
            return moved(location.format(url=server.url), status)
        return json_reply({"full_name": "new/name"})

    with Server(script) as server:
        answer = ask_for_repository(provider_at(server, "gitea"), "/repos/old/name", login=MINE)
    assert answer.json == {"full_name": "new/name"}
    assert server.seen[-1].path == "/api/repos/new/name"
    assert server.seen[-1].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/api/repos/old/name",
        "/other/repos/new",
        "/api",
        "/apis/repos",
        "/api/../other",
        "/api/%2e%2e/other",
        "/api/a/%2E./b",
        "/api//host/x",
        "/api/repos/new?token=1",
        "//elsewhere.example/api/repos/new",
        "http://[broken",
    ],
)
def test_no_other_redirect_is_followed(location: str) -> None:
    with Server(lambda seen: moved(location)) as server, pytest.raises(ProviderAnswerUnexpected):
        ask_for_repository(provider_at(server, "gitea"), "/repos/old/name", login=MINE)
    assert {seen.path for seen in server.seen} == {"/api/repos/old/name"}


def test_a_redirect_to_another_host_gets_neither_token_nor_visit() -> None:
    with Server(lambda seen: json_reply({})) as canary:
        away = moved(f"{canary.url}/api/repos/new/name")
        with Server(lambda seen: away) as server, pytest.raises(ProviderAnswerUnexpected):
            ask_for_repository(provider_at(server, "gitea"), "/repos/old/name", login=MINE)
    assert canary.connections == 0


def test_redirects_in_a_circle_end() -> None:
    def script(seen: Seen) -> Reply:
        return moved("/api/repos/b" if seen.path.endswith("/a") else "/api/repos/a")

    with Server(script) as server, pytest.raises(ProviderAnswerUnexpected):
        ask_for_repository(provider_at(server, "gitea"), "/repos/a", login=MINE)
    assert len(server.seen) < 5


@pytest.mark.parametrize("status", [401, 403])
def test_a_host_closed_to_strangers_says_nothing_about_a_token(status: int) -> None:
    with Server(lambda seen: json_reply({"message": "Sign in first"}, status)) as server:
        provider = provider_at(server, "gitea")
        with pytest.raises(AccessRefused) as caught:
            ask_for_repository(provider, "/repos/a/b", login=None)
        with pytest.raises((TokenRejected, ProviderAnswerUnexpected)):
            ask_for_repository(provider, "/repos/a/b", login=MINE)
    assert caught.value.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("status", [200, 401, 403, 404, 502])
def test_a_page_for_strangers_is_an_outage_all_the_same(status: int) -> None:
    with Server(lambda seen: html_reply(status)) as server, pytest.raises(ProviderUnreachable):
        ask_for_repository(provider_at(server, "gitea"), "/repos/a/b", login=None)


@pytest.mark.parametrize(
    ("cursor", "page"),
    [("", 1), ("2", 2), ("99999", 99_999), ("0", 1), ("-1", 1), ("02", 1), ("100000", 1), ("2 ", 1), ("٣", 1),
     ("2\n", 1), ("1.5", 1), ("https://evil.example/?page=2", 1)],
)  # fmt: skip
def test_a_cursor_is_a_page_number_or_the_beginning(cursor: str, page: int) -> None:
    assert page_number(cursor) == page


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("  cases ", "cases"),
        ("a\x00b\nc", "abc"),
        ("x" * 500, "x" * 100),
        ("测试 案例", "测试 案例"),
        ("\t", ""),
    ],
)
def test_what_a_person_types_is_one_short_line(typed: str, sent: str) -> None:
    assert narrowed(typed) == sent


def test_the_address_for_git_ends_in_git_and_is_encoded() -> None:
    place = RepositoryPlace(owner="a b", path="a b/c?d", organizations=("a b",))
    assert git_address("https://git.example/base", place) == "https://git.example/base/a%20b/c%3Fd.git"

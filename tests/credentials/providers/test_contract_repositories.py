"""What every provider owes that is asked about repositories and single organizations, written once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import AccessRefused, ProviderError, ProviderRateLimited, ScopeMissing, TokenRejected
from credentials.providers import registry
from credentials.providers.base import Provider
from credentials.providers.facts import OrganizationState, RepositoryPage, RepositoryPlace
from credentials.providers.tokens import Kind
from tests.credentials.providers.asking import TOKEN, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply
from tests.credentials.providers.test_contract import EVERY_KIND, FAULTS, JSON, made
from tests.sandbox import RunningSandbox

# Every provider whose repositories can be asked for.
ABLE = [name for name in registry.names() if registry.get(name).repository is not Provider.repository]
EVERY_ABLE_KIND = [(name, kind) for name, kind in EVERY_KIND if name in ABLE]
CASES = ("acme", "cases")
# Where an address has other segments than an owner and a name.
OTHER_PLACES = {
    "azure_devops": ("acme", "library", "_git", "cases"),
    "bitbucket_server": ("scm", "acme", "cases"),
}
PLAIN = [name for name in ABLE if name not in OTHER_PLACES]
# What a person can make everywhere with the scopes that show a private repository.
READERS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "github": (Kind.PERSONAL_TOKEN, ("repo", "read:org")),
    "gitlab": (Kind.PERSONAL_TOKEN, ("read_api",)),
    "bitbucket": (Kind.API_TOKEN, ("read:repository:bitbucket", "read:workspace:bitbucket")),
    "gitea": (Kind.PERSONAL_TOKEN, ("read:repository", "read:user", "read:organization")),
}
AT_THE_SANDBOX = [name for name in ABLE if name in READERS]


def place_at(name: str, *segments: str) -> RepositoryPlace:
    found = registry.get(name).place(segments or OTHER_PLACES.get(name, CASES))
    assert found is not None
    return found


def questions(provider: Provider, kind: Kind) -> dict[str, Callable[[], object]]:
    place = place_at(provider.name)
    return {
        "repository": lambda: provider.repository(place, login=login(kind)),
        "repository, nobody": lambda: provider.repository(place, login=None),
        "repositories": lambda: provider.repositories(login(kind), query="x"),
    }


# --- Faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "kind"), EVERY_ABLE_KIND)
def test_no_fault_is_a_refusal_a_repository_a_list_or_a_word_about_an_organization(
    name: str, kind: Kind, fault: str
) -> None:
    with Server(lambda seen: FAULTS[fault]) as server:
        for asked, call in questions(provider_at(server, name), kind).items():
            try:
                found = call()
            except (TokenRejected, ScopeMissing, AccessRefused) as problem:
                pytest.fail(f"{asked} raised {problem!r}")
            except ProviderError as problem:
                assert problem.retryable  # noqa: PT017  # it may as well succeed
            else:
                assert fault == "200 list", f"{asked} answered {found}"
        if fault == "429":
            with pytest.raises(ProviderRateLimited):
                provider_at(server, name).organization(login(kind), "acme")
            return
        fact = provider_at(server, name).organization(login(kind), "acme")
    assert fact is not None
    assert fact.state is OrganizationState.UNKNOWN
    assert fact.evidence


@pytest.mark.parametrize(("name", "kind"), EVERY_ABLE_KIND)
def test_a_refused_token_is_rejected_whatever_is_asked(name: str, kind: Kind) -> None:
    with Server(lambda seen: json_reply({"message": "Bad credentials"}, 401)) as server:
        provider = provider_at(server, name)
        for call in (
            lambda: provider.repository(place_at(name), login=login(kind)),
            lambda: provider.repositories(login(kind)),
            lambda: provider.organization(login(kind), "acme"),
        ):
            with pytest.raises(TokenRejected):
                call()
        with pytest.raises(AccessRefused):
            provider.repository(place_at(name), login=None)


@pytest.mark.parametrize(("name", "kind"), EVERY_ABLE_KIND)
def test_not_found_is_no_word_about_the_token(name: str, kind: Kind) -> None:
    with Server(lambda seen: json_reply({"message": "Not Found"}, 404)) as server:
        for who in (login(kind), None):
            with pytest.raises(AccessRefused) as caught:
                provider_at(server, name).repository(place_at(name), login=who)
            assert caught.value.status == 404


@pytest.mark.parametrize(("name", "kind"), EVERY_ABLE_KIND)
def test_no_token_is_in_an_address_or_leaves_the_host(name: str, kind: Kind) -> None:
    with Server(lambda seen: json_reply({})) as canary:
        away = Reply(status=301, headers={"Location": f"{canary.url}/api/repos/acme/cases"})
        for reply in (json_reply({}), json_reply([]), away, html_reply(403)):
            with Server(lambda seen, reply=reply: reply) as server:  # type: ignore[misc]  # bound now
                provider = provider_at(server, name)
                for call in questions(provider, kind).values():
                    try:
                        call()
                    except ProviderError as problem:
                        assert TOKEN not in f"{problem!r}{problem.evidence}"  # noqa: PT017  # it may succeed
                provider.organization(login(kind), "acme")
            assert all(TOKEN not in seen.path for seen in server.seen)
            assert any("Authorization" in seen.headers for seen in server.seen)
    assert canary.connections == 0


@pytest.mark.parametrize("name", ABLE)
def test_nobody_shows_no_token(name: str) -> None:
    refusal = json_reply({"message": "Not Found"}, 404)
    with Server(lambda seen: refusal) as server, pytest.raises(AccessRefused):
        provider_at(server, name).repository(place_at(name), login=None)
    assert all("Authorization" not in seen.headers for seen in server.seen)


@pytest.mark.parametrize("name", ABLE)
@settings(max_examples=20, deadline=None)
@given(status=st.sampled_from([200, 301, 400, 401, 403, 404, 409]), value=JSON)
def test_no_answer_breaks_a_question_or_moves_git_elsewhere(name: str, status: int, value: object) -> None:
    with Server(lambda seen: json_reply(value, status)) as server:
        provider = provider_at(server, name)
        for call in questions(provider, provider.default_kind).values():
            try:
                found = call()
            except ProviderError:
                continue
            shown = found.repositories if isinstance(found, RepositoryPage) else (found,)
            for fact in shown:
                assert fact is None or getattr(fact, "clone_url", "").startswith(f"{server.url}/")
        try:
            fact = provider.organization(login(provider.default_kind), "acme")
        except TokenRejected:
            assert status == 401
        else:
            assert fact is None or fact.key.lower() == "acme"


# --- Addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("more", [(), ("-", "settings"), ("tree", "main"), ("blob", "main", "README.md")])
def test_an_address_copied_from_git_or_from_the_browser_names_the_same_place(
    name: str, more: tuple[str, ...]
) -> None:
    place = registry.get(name).place((*CASES, *more))
    assert place == RepositoryPlace(owner="acme", path="acme/cases", organizations=("acme",))
    assert made(name).clone_url(place_at(name)) == "https://git.example/acme/cases.git"


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.parametrize(
    "segments", [(), ("acme",), ("acme", ".."), ("..", "cases"), ("acme", "ca ses"), ("a", "")]
)
def test_what_can_never_be_a_repository_is_no_place(name: str, segments: tuple[str, ...]) -> None:
    assert registry.get(name).place(segments) is None


@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=200)
@given(segments=st.lists(st.text(max_size=12), max_size=6))
def test_whatever_is_a_place_stays_below_the_host(name: str, segments: list[str]) -> None:
    place = registry.get(name).place(tuple(segments))
    if place is None:
        return
    assert place.path.split("/") == segments[: place.path.count("/") + 1]
    assert place.owner == place.organizations[0] == place.path.rpartition("/")[0]
    assert all(part.strip(".") for part in place.path.split("/"))
    url = made(name).clone_url(place)
    assert url.startswith("https://git.example/")
    assert url.isascii()


@pytest.mark.parametrize(("name", "kind"), EVERY_ABLE_KIND)
def test_every_page_that_mends_something_is_the_hosts_own(name: str, kind: Kind) -> None:
    for key in ("acme", "a/b", "../x", "a b?c#d", "测试"):
        links = made(name).organization_links(key, kind=kind, client_id="client-1")
        for url in (links.request, links.approve, links.sso):
            assert url == made(name).own_url(url)


# --- At the sandbox ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", AT_THE_SANDBOX)
def test_a_private_repository_is_shown_to_its_readers_and_to_nobody_else(
    sandbox: RunningSandbox, slug: str
) -> None:
    provider = provider_in(sandbox, slug)
    kind, scopes = READERS[slug]
    mine = login_in(sandbox, slug, kind, scopes)
    found = provider.repository(place_at(slug, "ACME", "Cases"), login=mine)
    assert (found.path, found.private) == ("acme/cases", True)
    assert found.clone_url == f"{sandbox.hosts[slug].web_url}/acme/cases.git"
    assert found.default_branch == "main"
    assert found.reads_contents is not False
    for segments, who in ((CASES, None), (("octo-bob", "own-cases"), mine), (("acme", "nothing"), mine)):
        with pytest.raises(AccessRefused):
            provider.repository(place_at(slug, *segments), login=who)
    public = provider.repository(place_at(slug, "acme", "public-cases"), login=None)
    assert (public.private, public.reads_contents) == (False, True)


@pytest.mark.parametrize("slug", AT_THE_SANDBOX)
def test_the_list_holds_ones_own_and_is_narrowed_by_a_query(sandbox: RunningSandbox, slug: str) -> None:
    provider = provider_in(sandbox, slug)
    kind, scopes = READERS[slug]
    mine = login_in(sandbox, slug, kind, scopes)
    page = provider.repositories(mine)
    assert page is not None
    paths = {fact.path for fact in page.repositories}
    assert paths >= {"octo-alice/private-cases", "acme/cases"}
    assert "octo-bob/own-cases" not in paths
    narrow = provider.repositories(mine, query="private")
    assert narrow is not None
    assert [fact.path for fact in narrow.repositories] == ["octo-alice/private-cases"]
    again = provider.repositories(mine, cursor="nobody gave this")
    assert again == page


@pytest.mark.parametrize("slug", AT_THE_SANDBOX)
def test_an_organization_lets_its_member_in(sandbox: RunningSandbox, slug: str) -> None:
    kind, scopes = READERS[slug]
    fact = provider_in(sandbox, slug).organization(login_in(sandbox, slug, kind, scopes), "acme")
    assert fact is not None
    assert (fact.key, fact.state) == ("acme", OrganizationState.ACCESSIBLE)


@pytest.mark.parametrize("slug", AT_THE_SANDBOX)
def test_an_organization_nobody_made_is_none(sandbox: RunningSandbox, slug: str) -> None:
    kind, scopes = READERS[slug]
    assert (
        provider_in(sandbox, slug).organization(login_in(sandbox, slug, kind, scopes), "nobody-made") is None
    )

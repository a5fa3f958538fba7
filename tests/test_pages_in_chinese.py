"""The pages in Simplified Chinese: nothing of ours is left in English but names, and the page says its language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from credentials.models import AccessState, Credential, Host, Status
from credentials.providers import registry
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from credentials.web.help import REQUEST_TOPICS
from tests import builders
from tests.credentials.admin.desk import page, stock
from tests.credentials.web.visitor import oauth_host, visit
from tests.test_translations import HAN, PLACEHOLDER, WRITTEN, entries

CHINESE = {"accept-language": "zh-hans"}
# What a provider's own English page says stands in these, and so does nothing else that is English.
QUOTED = re.compile(r"“[^”]*”")
# What names something on a page: its words are ours, whoever's data stands beside them.
TITLE = re.compile(
    r'<(label|dt|button|summary|legend|th (?=[^>]*scope="col"))[^>]*>(?!<code>)(.*?)</', re.DOTALL
)
TAG = re.compile(r"<[^>]+>")
# Names, and what Django itself has not translated.
NAMES = {"", "OAuth", "English", "Github", "Model name", "Add link", "Change or view list link"}
ACCOUNT = (
    "account_login",
    "account_change_password",
    "account_email",
    "mfa_index",
    "mfa_list_webauthn",
    "usersessions_list",
)

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def english() -> frozenset[str]:
    """Every stretch of at least three words that has a translation."""
    found: set[str] = set()
    for entry in entries(WRITTEN.read_text(encoding="utf-8")):
        for message in filter(None, (entry.message, entry.plural)):
            found.update(stretch.strip(" .:;,") for stretch in PLACEHOLDER.split(QUOTED.sub("%s", message)))
    return frozenset(stretch for stretch in found if len(stretch.split()) >= 3)


def english_in(html: str, english: frozenset[str]) -> list[str]:
    """What a page says in English although it has Chinese words for it."""
    text = QUOTED.sub("", unescape(html))
    stretches = [one for one in english if one in text]
    titles = (TAG.sub("", unescape(title)).strip(" \n:") for _tag, title in TITLE.findall(html))
    return stretches + [one for one in titles if not HAN.search(one) and one not in NAMES]


def seen(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return str(response.content.decode())


def full_house(alice: User) -> list[Credential]:
    """One credential in each status, and each answer of an organization."""
    host = oauth_host()
    made = [
        builders.credential(
            alice,
            host,
            kind=Kind.OAUTH if number % 2 else Kind.PERSONAL_TOKEN,
            token=f"ghp_{number:036}",
            status=status,
            scopes=["read:org"],
            missing_scopes=["repo"],
        )
        for number, status in enumerate(set(Status) - {Status.DISCONNECTED})
    ]
    for state in AccessState.values:
        builders.access(made[0], f"the-{state}-corp", state=state)
    return made


def people_pages(made: list[Credential]) -> Iterator[str]:
    for name in ("connections", "calendar", "connect_choose", "diagnose", "help_index"):
        yield reverse(name)
    for topic in (*(code.value.replace("_", "-") for code in VerdictCode), *REQUEST_TOPICS):
        yield reverse("help", kwargs={"topic": topic})
    yield reverse("connect", kwargs={"slug": "github"})
    for provider, _title in registry.choices():
        yield reverse("token", kwargs={"slug": provider})
    for one in made:
        yield reverse("credential", kwargs={"credential_id": one.pk})
        yield reverse("credential_disconnect", kwargs={"credential_id": one.pk})
    yield from map(reverse, ACCOUNT[1:])


def test_no_page_for_people_has_english_left(alice: User, english: frozenset[str]) -> None:
    made = full_house(alice)
    for provider, title in registry.choices():
        if provider != "github":
            builders.host(provider, name=title)
    client = visit(alice, headers=CHINESE)
    for address in people_pages(made):
        html = seen(client, address)
        assert '<html lang="zh-hans">' in html
        assert english_in(html, english) == [], address


def desk_pages() -> Iterator[str]:
    yield reverse("admin:index")
    yield reverse("admin:credentials_credential_calendar")
    for model, its_admin in site._registry.items():
        yield page(model, "changelist")
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            yield page(model, "change", row.pk)
        if its_admin.has_add_permission is not None and _is_made_here(model):
            yield page(model, "add")


def _is_made_here(model: type[Model]) -> bool:
    return model._meta.model_name in {"host", "serviceclient", "user", "group"}


def test_no_page_of_the_admin_has_english_left(admin: User, alice: User, english: frozenset[str]) -> None:
    stock(alice, count=2)
    Permission.objects.all().delete()  # Django keeps their names in the database, in English
    client = visit(admin, headers=CHINESE)
    for address in desk_pages():
        html = seen(client, address)
        assert 'lang="zh-hans"' in html
        assert english_in(html, english) == [], address


def test_the_search_for_english_would_find_it(alice: User, english: frozenset[str]) -> None:
    html = seen(visit(alice), reverse("connections"))
    assert "Connected accounts" in html
    assert any("Nothing is connected yet" in one or "No Git host" in one for one in english_in(html, english))


def test_why_a_service_refuses_is_said_in_the_language_of_the_page(admin: User) -> None:
    form = {"slug": "git", "name": "Git", "provider": "gitea", "web_url": "http://git.example.org"}
    answer = visit(admin, headers=CHINESE).post(page(Host, "add"), form)
    assert "此处只允许 https" in answer.content.decode()

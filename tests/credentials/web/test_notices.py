"""News on the connections page, for their reader only, until they are read."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from credentials.models import Notice, OrganizationAccess
from credentials.services import notices
from credentials.services.notices import Code
from tests import builders
from tests.credentials.web.account import by_oauth
from tests.credentials.web.visitor import oauth_host, visit
from tests.sandbox import RunningSandbox


def told(to: User, code: Code = Code.ORGANIZATION_OPENED, key: str = "assxxx") -> Notice:
    held = builders.credential(to, builders.Host.objects.first() or oauth_host())
    return notices.about_organization(builders.access(held, key), code, now=timezone.now())


def test_an_approval_is_news_until_it_is_read(alice: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    client = visit(alice)
    client.post(reverse("organizations_refresh", args=[held.pk]))
    notice = Notice.objects.get()
    assert OrganizationAccess.objects.get(organization__key="assxxx").state == "accessible"

    html = client.get("/").content.decode()
    assert f"assxxx now lets your connection to {held.host.name} in." in html
    address = reverse("notice_read", args=[notice.pk])
    assert f'<form method="post" action="{address}">' in html

    html = client.post(address, follow=True).content.decode()
    assert "now lets your connection" not in html
    notice.refresh_from_db()
    assert notice.read_at is not None


def test_nobody_reads_anothers_news(alice: User, bob: User, admin: User) -> None:
    notice = told(alice)
    for stranger in (bob, admin):
        client = visit(stranger)
        assert "assxxx" not in client.get("/").content.decode()
        assert client.post(reverse("notice_read", args=[notice.pk])).status_code == 404
    notice.refresh_from_db()
    assert notice.read_at is None


def test_news_are_not_read_by_following_a_link(alice: User) -> None:
    notice = told(alice)
    assert visit(alice).get(reverse("notice_read", args=[notice.pk])).status_code == 405


def test_what_closed_is_news_too_and_speaks_the_readers_language(alice: User) -> None:
    told(alice, Code.ORGANIZATION_CLOSED)
    assert "no longer lets your connection" in visit(alice).get("/").content.decode()


def test_many_news_do_not_bury_the_page(alice: User) -> None:
    for number in range(14):
        told(alice, key=f"org-{number}")
    html = visit(alice).get("/").content.decode()
    assert html.count("Got it") == 10
    assert "org-13 now lets" in html

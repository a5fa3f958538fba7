"""The admin looks and never holds: no page shows a secret, and the trail is read-only for everyone."""

from __future__ import annotations

import base64
import re

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Host, Lease, Scope, ServiceClient
from credentials.services import clients, lend
from tests import builders

pytestmark = pytest.mark.django_db

CANARY = "ghp_canary-canary-canary-canary-canary"
OURS = [
    model
    for model in apps.get_app_config("credentials").get_models()
    if django_admin.site.is_registered(model)
]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def stocked(alice: User) -> str:
    """A row of everything, each secret a canary; the service key is returned."""
    host = builders.host(client_secret=Secret(f"{CANARY}-client"), client_id="app")
    builders.credential(alice, host, token=CANARY, label="work")
    _, key = builders.client()
    lend.lend(
        key=clients.parse_key(key.reveal()),
        request=lend.LeaseRequest(user="alice", purpose="import", host="github"),
        address="127.0.0.1",
    )
    return key.reveal()


def addresses(client: Client) -> list[str]:
    """Every page of the admin: index, lists, searches, forms, histories."""
    found = [reverse("admin:index"), reverse("admin:app_list", args=["credentials"])]
    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        changelist = reverse(f"{name}_changelist")
        found += [changelist, f"{changelist}?q=canary", reverse(f"{name}_add")]
        for row in model._default_manager.all()[:3]:
            found += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    return found


def test_no_page_shows_a_secret_in_any_form(admin: User, stocked: str) -> None:
    client = browser(admin)
    seen = 0
    for address in addresses(client):
        response = client.get(address)
        seen += response.status_code == 200
        for secret in (CANARY, stocked):
            for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
                assert form not in response.content.decode(), address
    assert seen > 15


@pytest.mark.parametrize("model", [AuditEvent, Lease, Credential])
def test_nobody_adds_changes_or_deletes_these_superusers_included(
    admin: User, stocked: str, model: type[AuditEvent]
) -> None:
    client = browser(admin)
    name = f"admin:credentials_{model._meta.model_name}"
    row = model._default_manager.first()
    assert row is not None

    assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    for address in (
        reverse(f"{name}_add"),
        reverse(f"{name}_change", args=[row.pk]),
        reverse(f"{name}_delete", args=[row.pk]),
    ):
        assert client.post(address, {"post": "yes", "action": "x"}).status_code == 403


def test_a_service_key_is_shown_once_and_kept_nowhere(admin: User) -> None:
    builders.host()
    client = browser(admin)

    made = client.post(
        reverse("admin:credentials_serviceclient_add"),
        {
            "name": "importer",
            "scopes": [Scope.CREDENTIALS_LEND],
            "hosts": ["github"],
            "networks": "10.0.0.0/8",
        },
    )

    shown = re.search(r"fk_[a-z2-7]{16}_[\w-]{51}", made.content.decode())
    assert shown is not None
    assert "no-store" in made["Cache-Control"]
    row = ServiceClient.objects.get()
    assert (row.name, row.hosts, row.allowed_networks) == ("importer", ["github"], ["10.0.0.0/8"])
    assert clients.matches(clients.parse_key(shown[0]), key_hash=bytes(row.key_hash))
    for address in addresses(client):
        assert shown[0] not in client.get(address).content.decode()
    assert all(shown[0] not in str(session.get_decoded()) for session in Session.objects.all())


def test_a_renewed_key_is_shown_once_and_the_old_one_ends(admin: User) -> None:
    row, old = builders.client()
    client = browser(admin)

    answer = client.post(
        reverse("admin:credentials_serviceclient_changelist"),
        {"action": "renew_key", "_selected_action": [str(row.pk)]},
    )

    row.refresh_from_db()
    assert "fk_" in answer.content.decode()
    assert not clients.matches(clients.parse_key(old.reveal()), key_hash=bytes(row.key_hash))


def test_a_wrong_network_is_an_error_of_the_form_and_makes_nothing(admin: User) -> None:
    answer = browser(admin).post(
        reverse("admin:credentials_serviceclient_add"),
        {"name": "x", "scopes": [Scope.CREDENTIALS_LEND], "networks": "nonsense"},
    )

    assert answer.status_code == 200
    assert "CIDR" in answer.content.decode()
    assert not ServiceClient.objects.exists()


def test_a_host_is_registered_with_a_secret_that_never_comes_back(admin: User) -> None:
    client = browser(admin)
    values = {
        "slug": "corp",
        "provider": "gitlab",
        "name": "Corp",
        "web_url": "https://git.example.org",
        "client_id": "app",
        "client_secret": CANARY,
        "oauth_scopes": "[]",
    }

    answer = client.post(reverse("admin:credentials_host_add"), values)

    assert answer.status_code == 302, answer.context["errors"] if answer.context else ""
    host = Host.objects.get()
    assert (host.api_url, host.offers_oauth) == ("https://git.example.org/api/v4", True)
    page = client.get(reverse("admin:credentials_host_change", args=[host.pk])).content.decode()
    assert CANARY not in page


def test_moving_a_host_under_its_credentials_is_an_error_of_the_form(admin: User, stocked: str) -> None:
    host = Host.objects.get()

    answer = browser(admin).post(
        reverse("admin:credentials_host_change", args=[host.pk]),
        {
            "provider": "github",
            "name": "Evil",
            "web_url": "https://evil.example.org",
            "api_url": "https://evil.example.org/api/v3",
            "oauth_scopes": "[]",
        },
    )

    assert answer.status_code == 200
    host.refresh_from_db()
    assert host.web_url == "http://127.0.0.1:9"


def test_staff_without_a_permission_and_other_people_get_nothing(alice: User, stocked: str) -> None:
    staff = builders.user("dora", is_staff=True)
    for model in OURS:
        address = reverse(f"admin:credentials_{model._meta.model_name}_changelist")
        assert browser(staff).get(address).status_code == 403
        assert browser(alice).get(address).status_code in {302, 403}


def test_a_viewer_reads_the_trail(stocked: str) -> None:
    auditor = builders.user("audrey", is_staff=True)
    auditor.user_permissions.add(Permission.objects.get(codename="view_auditevent"))

    page = browser(auditor).get(reverse("admin:credentials_auditevent_changelist"))

    assert page.status_code == 200
    assert "lease.created" in page.content.decode()


def test_tables_of_others_that_show_tokens_have_no_page() -> None:
    names = {model._meta.label for model in django_admin.site._registry}

    assert not names & {
        "socialaccount.SocialApp",
        "socialaccount.SocialToken",
        "mfa.Authenticator",
        "django_tasks_database.DBTaskResult",
    }

"""``add_webhook``: the secret alone on stdout, once."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from credentials.models import AuditEvent, WebhookEndpoint
from credentials.services.webhooks import endpoints
from tests import builders

pytestmark = pytest.mark.django_db

HOOK = "https://receiver.example.org/hooks"


def run(*words: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("add_webhook", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def backend(db: None) -> None:
    builders.client("backend")


def test_the_secret_is_alone_on_stdout_and_is_the_one_that_signs() -> None:
    out, err = run("backend", "--url", HOOK, "--event", "user.offboarded", "--event", "import.finished")
    made = WebhookEndpoint.objects.get()
    [secret] = endpoints.open_secrets(made, actor=builders.SYSTEM, purpose="test", now=timezone.now())
    assert out == secret.reveal() + "\n"
    assert err == f"{HOOK}: this secret is shown once.\n"
    assert made.events == ["import.finished", "user.offboarded"]
    assert not made.allow_private_network
    assert AuditEvent.objects.get(action="webhook.added").actor_name == "add_webhook"


def test_a_private_network_has_to_be_meant() -> None:
    with pytest.raises(CommandError, match="Only https"):
        run("backend", "--url", "http://receiver:8000/")
    run("backend", "--url", "http://receiver:8000/", "--allow-private-network")
    assert WebhookEndpoint.objects.get().allow_private_network


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody", "--url", HOOK), "no service client with this name"),
        (("backend", "--url", HOOK, "--event", "everything"), "invalid choice"),
        (("backend",), "required: --url"),
        (("backend", "--url", "https://10.0.0.1/"), "may not go to"),
    ],
)
def test_a_wrong_word_is_said_and_nothing_is_added(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert not WebhookEndpoint.objects.exists()

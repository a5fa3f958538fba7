"""``add_service_client``: the key alone on stdout, once, and limited as it was said."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from credentials.models import AuditEvent, ServiceClient
from credentials.services import clients
from tests import builders

pytestmark = pytest.mark.django_db

LEND = ("--scope", "credentials:lend")


def run(*words: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("add_service_client", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_key_is_alone_on_stdout_and_works() -> None:
    out, err = run("importer", *LEND, "--scope", "credentials:read")

    presented = clients.parse_key(out.removesuffix("\n"))
    client = ServiceClient.objects.get()
    assert presented.public_id == client.public_id
    assert presented.key_hash == bytes(client.key_hash)
    assert client.scopes == ["credentials:lend", "credentials:read"]
    assert err == "importer: this key is shown once.\n"
    assert AuditEvent.objects.get().actor_name == "add_service_client"


def test_it_is_limited_as_it_was_said() -> None:
    builders.host()
    run("importer", *LEND, "--host", "github", "--allow-ip", "192.0.2.0/24", "--allow-ip", "2001:db8::/32")

    client = ServiceClient.objects.get()
    assert client.hosts == ["github"]
    assert client.allowed_networks == ["192.0.2.0/24", "2001:db8::/32"]
    assert client.expires_at is None


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2999-01-31T00:00Z", datetime(2999, 1, 31, tzinfo=UTC)),
        ("2999-01-31T01:00+01:00", datetime(2999, 1, 31, tzinfo=UTC)),
        ("2999-01-31 12:30", datetime(2999, 1, 31, 12, 30, tzinfo=UTC)),
        ("2999-01-31", datetime(2999, 1, 31, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_time(text: str, end: datetime) -> None:
    run("importer", *LEND, "--expires", text)
    assert ServiceClient.objects.get().expires_at == end


def test_or_a_number_of_days() -> None:
    run("importer", *LEND, "--expires", "90")
    end = ServiceClient.objects.get().expires_at
    assert end is not None
    assert abs(end - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "Write --expires as") for text in ("soon", "90d", "²", "٩٠", "1:00", "9999999", "-")),
        *((text, "has to lie ahead") for text in ("2020-01-31T00:00Z", "0")),
    ],
)
def test_no_other_end_makes_a_client(text: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run("importer", *LEND, "--expires", text)
    assert not ServiceClient.objects.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("importer", "--scope", "everything"), "invalid choice"),
        (("importer",), "required: --scope"),
        (("importer", *LEND, "--host", "elsewhere"), "not set up here"),
        (("importer", *LEND, "--allow-ip", "192.0.2.300"), "CIDR blocks"),
        (("", *LEND), "needs a name"),
    ],
)
def test_a_wrong_word_is_said_and_no_key_is_made(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert not ServiceClient.objects.exists()


def test_a_name_is_given_once() -> None:
    run("importer", *LEND)
    with pytest.raises(CommandError, match="with this name already"):
        run("importer", *LEND)

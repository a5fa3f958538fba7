"""``add_host``: registering a host, and bringing it up to date, with no secret among the words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from credentials.models import AuditEvent, Host
from credentials.services import vault
from tests import builders

pytestmark = pytest.mark.django_db

GITHUB = ("--provider", "github", "--slug", "github", "--web-url", "https://github.com")
SECRET = "the-client-secret"


def run(*words: object) -> str:
    out = io.StringIO()
    call_command("add_host", *map(str, words), stdout=out)
    return out.getvalue()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "client-secret"
    path.write_text(f"{SECRET}\n", "utf-8")
    return path


def test_a_host_is_registered_with_what_is_usual_for_its_provider() -> None:
    assert run(*GITHUB) == "github: https://github.com\n"

    host = Host.objects.get()
    assert (host.name, host.api_url, host.oauth_scopes) == ("GitHub", "https://api.github.com", [])
    assert not host.offers_oauth
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.subject_name) == ("host.added", "add_host", str(host))


def test_the_client_secret_comes_from_a_file_and_is_sealed(secret_file: Path) -> None:
    said = run(*GITHUB, "--client-id", "client-1", "--client-secret-file", secret_file)

    host = Host.objects.get()
    assert host.offers_oauth
    assert vault.open_client_secret(host, record=lambda: None).reveal() == SECRET
    assert SECRET not in said
    assert SECRET.encode() not in bytes(host.client_secret_envelope or b"")


def test_the_same_slug_again_changes_what_is_named_and_keeps_the_rest(secret_file: Path) -> None:
    run(*GITHUB, "--client-id", "client-1", "--client-secret-file", secret_file, "--scopes", "repo")
    run(*GITHUB, "--name", "Our GitHub")

    host = Host.objects.get()
    assert (host.name, host.client_id, host.oauth_scopes) == ("Our GitHub", "client-1", ["repo"])
    assert vault.open_client_secret(host, record=lambda: None).reveal() == SECRET


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret_changes_nothing(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(content)
    with pytest.raises(CommandError, match="holds no text"):
        run(*GITHUB, "--client-secret-file", secret_file)
    assert not Host.objects.exists()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot be read: No such file or directory\."):
        run(*GITHUB, "--client-secret-file", tmp_path / "absent")
    assert not Host.objects.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--provider", "github", "--slug", "g", "--web-url", "http://git.example.com"), "Only https"),
        (("--provider", "cvs", "--slug", "c", "--web-url", "https://cvs.example.com"), "invalid choice"),
        (("--provider", "azure_devops", "--slug", "a", "--web-url", "https://a.example.com/o", "--client-id", "c"),
         "Tokens are only pasted"),
        (("--slug", "g", "--web-url", "https://git.example.com"), "required: --provider"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_said_in_one_line(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert not Host.objects.exists()


def test_an_address_stays_while_credentials_are_bound_to_it(alice: User) -> None:
    run(*GITHUB)
    builders.credential(alice, Host.objects.get())
    with pytest.raises(CommandError, match="Register the new address as another host"):
        run("--provider", "github", "--slug", "github", "--web-url", "https://git.example.com")
    assert Host.objects.get().web_url == "https://github.com"

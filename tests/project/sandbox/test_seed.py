"""The seed file: the names that tests, help pages and the demo rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from project.sandbox.emulated import EMULATED
from project.sandbox.seed import App, load_seed, number, stable_uuid


def test_the_seed_has_the_people_organizations_and_repositories_of_the_contract() -> None:
    seed = load_seed()
    assert [person.login for person in seed.people] == ["octo-alice", "octo-bob"]
    switches = {item.name: item for item in seed.organizations}
    assert switches["acme"].approved
    assert not switches["assxxx"].approved
    assert switches["sso-corp"].sso
    assert not switches["locked-corp"].classic_tokens
    private = {item.full_name for item in seed.repositories if item.private}
    assert {"octo-alice/private-cases", "acme/cases", "assxxx/ABC", "octo-bob/own-cases"} <= private
    assert [item.full_name for item in seed.repositories if not item.private] == ["acme/public-cases"]


def test_alice_is_a_member_everywhere_and_bob_of_acme_only() -> None:
    organizations = load_seed().organizations
    assert all(item.has_member("octo-alice") for item in organizations)
    assert [item.name for item in organizations if item.has_member("octo-bob")] == ["acme"]


def test_a_pending_member_is_not_a_member_yet() -> None:
    acme = load_seed().organizations[0]
    assert not type(acme)(name="x", title="X", members={"octo-bob": "pending"}).has_member("octo-bob")


def test_every_host_with_oauth_has_an_application_whose_secret_is_not_printed() -> None:
    apps = load_seed().apps
    with_oauth = {slug for slug, host in EMULATED if host.rules.authorize_path}
    assert {app.host for app in apps} == with_oauth
    assert len({app.client_id for app in apps}) == len(apps)
    assert not any(app.client_secret in repr(app) for app in apps)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8000/connect/github/callback/?x=1",
        "http://127.0.0.1:8000/connect/github/callback",
        "http://127.0.0.1:8000/connect/github/callback/more",
        "http://127.0.0.1:8001/connect/github/callback/",
        "http://127.0.0.1:8000.evil.example/connect/github/callback/",
        "http://127.0.0.1:8000/connect/gitlab/callback/",
        "",
    ],
)
def test_a_redirect_address_has_to_be_equal_in_every_character(address: str) -> None:
    app = App(
        host="github",
        name="x",
        client_id="i",
        client_secret="s",
        redirect_uris=("{base}/connect/github/callback/",),
    )
    assert app.allows("http://127.0.0.1:8000/connect/github/callback/", ["http://127.0.0.1:8000/"])
    assert not app.allows(address, ["http://127.0.0.1:8000"])


def test_an_entry_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed.toml"
    path.write_text("[[people]]\nlogin = 'a'\nname = 'A'\nemail = 'a@example.test'\nage = 7\n")
    with pytest.raises(TypeError, match="age"):
        load_seed(path)


def test_numbers_and_uuids_are_stable_and_differ_between_hosts() -> None:
    assert number("github", "octo-alice") == number("github", "octo-alice")
    assert number("github", "octo-alice") != number("gitlab", "octo-alice")
    assert stable_uuid("a") == stable_uuid("a") != stable_uuid("b")

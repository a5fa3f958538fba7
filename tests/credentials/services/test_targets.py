"""Which host and repository an address names: whole segments, the longest base path first."""

from __future__ import annotations

import pytest

from credentials.errors import AddressInvalid
from credentials.models import Host
from credentials.providers.repository_url import parse
from credentials.services import hosts, targets
from tests import builders

pytestmark = pytest.mark.django_db

ORIGIN = "http://127.0.0.1:9"


def found(address: str) -> tuple[str, str] | None:
    target = targets.find_target(parse(address))
    return (target.host.slug, target.place.path) if target else None


@pytest.fixture
def plain() -> Host:
    return builders.host("github")


@pytest.fixture
def nested() -> Host:
    return builders.host("gitlab", web_url=f"{ORIGIN}/git", api_url=f"{ORIGIN}/git/api/v4")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/acme/cases.git", ("github", "acme/cases")),
        ("/ACME/Cases", ("github", "ACME/Cases")),
        ("/acme/cases/tree/main/docs", ("github", "acme/cases")),
        ("/git/group/sub/cases.git", ("gitlab", "group/sub/cases")),
        ("/gitter/cases", ("github", "gitter/cases")),
    ],
)
def test_the_longest_base_path_of_whole_segments_wins(
    plain: Host, nested: Host, address: str, expected: tuple[str, str]
) -> None:
    assert found(f"{ORIGIN}{address}") == expected


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example/acme/cases", "http://127.0.0.1:10/acme/cases"]
)
def test_an_address_elsewhere_belongs_to_no_host(plain: Host, address: str) -> None:
    assert found(address) is None


def test_a_closed_host_is_not_found(plain: Host) -> None:
    hosts.set_enabled(actor=builders.SYSTEM, host=plain, enabled=False)
    assert found(f"{ORIGIN}/acme/cases") is None


@pytest.mark.parametrize("path", ["/acme", "/git/group", "/settings/tokens"])
def test_an_address_that_names_a_host_and_no_repository_is_said_to_be_none(
    plain: Host, nested: Host, path: str
) -> None:
    with pytest.raises(AddressInvalid):
        found(f"{ORIGIN}{path}")


def test_however_it_is_written_a_repository_is_remembered_by_one_key(plain: Host) -> None:
    spellings = ("/acme/cases.git", "/ACME/Cases", "/acme/cases/tree/main", "/acme/cases/")
    keys = {targets.key_at(plain, f"{ORIGIN}{path}") for path in spellings}
    assert keys == {"acme/cases"}


def test_a_host_below_a_path_keeps_the_path_in_its_keys(nested: Host) -> None:
    assert targets.key_at(nested, f"{ORIGIN}/git/Group/Cases") == "git/group/cases"


def test_a_repository_of_another_host_has_no_key_here(plain: Host, nested: Host) -> None:
    assert targets.key_at(plain, f"{ORIGIN}/git/group/cases") == ""
    assert targets.key_at(plain, "https://elsewhere.example/acme/cases") == ""

"""The seed file as facts: people, organizations with their switches, repositories, OAuth applications."""

from __future__ import annotations

import tomllib
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED_FILE = Path(__file__).with_name("seed.toml")


def number(*parts: str) -> int:
    """A stable number below ten million for a name; different hosts give the same name different ones."""
    return 10_000 + zlib.crc32("/".join(parts).encode()) % 9_000_000


def stable_uuid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    login: str
    name: str
    email: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Organization:
    """An organization, and the position of each of its switches.

    `approved`: the OAuth app is approved (or the GitHub App installed). `request`: none, requested or
    denied. `fine_grained_max_days`: the longest life of a fine-grained token, 0 for any. `blocked`: every
    credential is refused by policy. `members` gives a login its role: admin, member or pending.
    """

    name: str
    title: str
    members: Mapping[str, str] = field(default_factory=dict)
    approved: bool = True
    request: str = "none"
    sso: bool = False
    classic_tokens: bool = True
    fine_grained_tokens: bool = True
    fine_grained_max_days: int = 0
    fine_grained_approval: bool = False
    ip_allow_list: bool = False
    blocked: bool = False

    def has_member(self, login: str) -> bool:
        return self.members.get(login) in {"admin", "member"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """`owner` is a person or an organization; `content` the number of use cases inside."""

    owner: str
    name: str
    private: bool
    content: int

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """An OAuth application. `kind` is the kind of token it gets; no `scopes` means any known scope."""

    host: str
    name: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    kind: str = "oauth"
    scopes: tuple[str, ...] = ()

    def allows(self, redirect_uri: str, bases: Sequence[str]) -> bool:
        """Whether the address equals a registered one in every character."""
        return any(
            redirect_uri == uri.replace("{base}", base.rstrip("/"))
            for uri in self.redirect_uris
            for base in bases
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    people: tuple[Person, ...]
    organizations: tuple[Organization, ...]
    repositories: tuple[Repository, ...]
    apps: tuple[App, ...]


def _repository(entry: dict[str, Any]) -> Repository:
    owner, _, name = entry["name"].partition("/")
    return Repository(owner=owner, name=name, private=entry["private"], content=entry["content"])


def _app(entry: dict[str, Any]) -> App:
    lists: dict[str, Any] = {
        name: tuple(entry[name]) for name in ("redirect_uris", "scopes") if name in entry
    }
    return App(**(entry | lists))


def load_seed(path: Path = SEED_FILE) -> Seed:
    """Read a seed file. Raises KeyError or TypeError for an entry with a missing or an unknown field."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Seed(
        people=tuple(Person(**entry) for entry in data["people"]),
        organizations=tuple(Organization(**entry) for entry in data["organizations"]),
        repositories=tuple(_repository(entry) for entry in data["repositories"]),
        apps=tuple(_app(entry) for entry in data["apps"]),
    )

"""What one emulated host remembers: tokens, switches and settings, in one SQLite file."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.sandbox.seed import App, Organization, Person, Repository, Seed
from project.sandbox.switches import changed
from project.sandbox.tokens import Token, digest

SCHEMA = "CREATE TABLE IF NOT EXISTS record (host, kind, id, body, PRIMARY KEY (host, kind, id))"


class Store:
    """JSON records by host, kind and id; one file for all hosts, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(SCHEMA)

    def save(self, host: str, kind: str, key: str, body: Mapping[str, Any]) -> None:
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", (host, kind, key, json.dumps(body))
            )

    def delete(self, host: str, kind: str, key: str) -> None:
        with self._lock:
            self._database.execute(
                "DELETE FROM record WHERE host = ? AND kind = ? AND id = ?", (host, kind, key)
            )

    def clear(self, host: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM record WHERE host = ?", (host,))

    def load(self, host: str, kind: str) -> dict[str, dict[str, Any]]:
        with self._lock:
            rows = self._database.execute(
                "SELECT id, body FROM record WHERE host = ? AND kind = ?", (host, kind)
            ).fetchall()
        return {key: json.loads(body) for key, body in rows}

    def close(self) -> None:
        with self._lock:
            self._database.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Switches of a whole host.

    `clock_offset_seconds` moves the host's clock; `replica_lag_seconds`: a new token is unknown for that
    long; `restriction_as_not_found`: GitHub answers 404 where it would explain that the organization has not
    approved the app; `memberships_list_restricted`: GitHub lists such organizations among the memberships;
    `single_use_refresh`, `old_access_dies` and `reuse_ends_family` say yes or no to the rule of that name in
    `oauth.Rules`; empty leaves it to the provider. `access_seconds`, `refresh_seconds`: the life of an access
    token that can be refreshed, and of a refresh token that nobody uses; 0 leaves it to the provider.
    `ban_after_failures`: so many failed Git sign-ins within three minutes shut Git for an hour, 0 for never;
    `redirect_bases`: further addresses the product may run at; `revocation_lag_seconds`: a token that somebody
    asks to revoke lives on for so long; `ignores_revocation`: such a request is answered as a success and changes
    nothing; `refuses_clients`: every OAuth application is told that its id or secret is wrong.
    """

    clock_offset_seconds: int = 0
    replica_lag_seconds: int = 0
    restriction_as_not_found: bool = False
    memberships_list_restricted: bool = False
    single_use_refresh: str = ""
    old_access_dies: str = ""
    reuse_ends_family: str = ""
    access_seconds: int = 0
    refresh_seconds: int = 0
    ban_after_failures: int = 0
    redirect_bases: tuple[str, ...] = ()
    revocation_lag_seconds: int = 0
    ignores_revocation: bool = False
    refuses_clients: bool = False


class HostState:
    """The people, organizations, repositories, applications and tokens of one host.

    Every change is made under `lock`, in memory and in the store. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        *,
        slug: str,
        seed: Seed,
        store: Store,
        redirect_bases: Iterable[str],
        clock: Callable[[], float],
    ) -> None:
        self.slug = slug
        self.lock = threading.RLock()
        self._seed = seed
        self._store = store
        self._clock = clock
        self._bases = tuple(redirect_bases)
        self.people: dict[str, Person] = {person.login: person for person in seed.people}
        self.repositories: tuple[Repository, ...] = seed.repositories
        self.apps: dict[str, App] = {app.client_id: app for app in seed.apps if app.host == slug}
        self._load()

    def _load(self) -> None:
        switches = self._store.load(self.slug, "organization")
        self.organizations: dict[str, Organization] = {
            entry.name: dataclasses.replace(entry, **switches.get(entry.name, {}))
            for entry in self._seed.organizations
        }
        names = {item.name for item in dataclasses.fields(Settings)}
        kept = self._store.load(self.slug, "settings").get("settings", {})
        # A folder may be older than the settings of today.
        stored = {name: value for name, value in kept.items() if name in names}
        self.settings = dataclasses.replace(
            Settings(), **stored | {"redirect_bases": tuple(stored.get("redirect_bases", ()))}
        )
        self._tokens: dict[str, Token] = {}
        self._by_digest: dict[str, str] = {}
        for body in self._store.load(self.slug, "token").values():
            self._index(Token(**body | {name: tuple(body[name]) for name in ("scopes", "sso")}))

    def now(self) -> float:
        return self._clock() + self.settings.clock_offset_seconds

    @property
    def redirect_bases(self) -> tuple[str, ...]:
        return self._bases + self.settings.redirect_bases

    # Tokens

    def _index(self, token: Token) -> None:
        self._tokens[token.id] = token
        self._by_digest[token.digest] = token.id
        if token.refresh_digest:
            self._by_digest[token.refresh_digest] = token.id

    def add_token(self, *, secret: str, refresh: str | None = None, **facts: Any) -> Token:
        """Keep a new token; only digests of `secret` and `refresh` are stored."""
        token = Token(
            id=secrets.token_hex(6),
            digest=digest(secret),
            refresh_digest=digest(refresh) if refresh else None,
            created_at=self.now(),
            **facts,
        )
        with self.lock:
            self._index(token)
            self._store.save(self.slug, "token", token.id, dataclasses.asdict(token))
        return token

    def change_token(self, token: Token, **facts: Any) -> Token:
        with self.lock:
            new = dataclasses.replace(token, **facts)
            self._index(new)
            self._store.save(self.slug, "token", new.id, dataclasses.asdict(new))
        return new

    def revoke(self, token: Token) -> None:
        """End a token and the refresh token that came with it."""
        self.change_token(token, revoked_at=token.revoked_at or self.now(), refresh_spent=True)

    def revoke_on_request(self, token: Token) -> None:
        """What a caller's request to revoke does, as the settings of the host have it."""
        if not self.settings.ignores_revocation:
            ends = self.now() + self.settings.revocation_lag_seconds
            self.change_token(token, revoked_at=min(token.revoked_at or ends, ends))

    def forget(self, token: Token) -> None:
        """Remove every trace of a token, as if it had never been made."""
        with self.lock:
            self._tokens.pop(token.id, None)
            self._by_digest = {key: known for key, known in self._by_digest.items() if known != token.id}
            self._store.delete(self.slug, "token", token.id)

    def token(self, token_id: str) -> Token | None:
        return self._tokens.get(token_id)

    def find(self, secret: str) -> Token | None:
        """The record of an access token, live or not; None if unknown, or not yet known to a replica."""
        wanted = digest(secret)
        token = self._tokens.get(self._by_digest.get(wanted, ""))
        if token is None or token.digest != wanted:
            return None
        if self.now() < token.created_at + self.settings.replica_lag_seconds:
            return None
        return token

    def find_refresh(self, secret: str) -> Token | None:
        wanted = digest(secret)
        token = self._tokens.get(self._by_digest.get(wanted, ""))
        return token if token is not None and token.refresh_digest == wanted else None

    def tokens(self) -> list[Token]:
        """Every token that was not forgotten, oldest first."""
        with self.lock:
            return sorted(self._tokens.values(), key=lambda token: token.created_at)

    def live_tokens(self) -> list[Token]:
        """The tokens that can still be used, or brought to life again by their refresh token."""
        now = self.now()
        return [token for token in self.tokens() if token.is_live(now) or token.can_refresh(now)]

    # Switches

    def set_organization(self, name: str, changes: Mapping[str, Any], allowed: Iterable[str]) -> Organization:
        """Turn switches of an organization. Raises KeyError if there is none, ValueError for a bad value."""
        with self.lock:
            new = changed(self.organizations[name], changes, allowed)
            body = dataclasses.asdict(new)
            self._store.save(self.slug, "organization", name, body)
            self.organizations[name] = new
        return new

    def set_settings(self, changes: Mapping[str, Any]) -> Settings:
        """Change settings of the host. Raises ValueError for an unknown name or a bad value."""
        with self.lock:
            names = [item.name for item in dataclasses.fields(Settings)]
            self.settings = changed(self.settings, changes, names)
            self._store.save(self.slug, "settings", "settings", dataclasses.asdict(self.settings))
        return self.settings

    def reset(self) -> None:
        """Back to the seed: no tokens, every switch in its first position."""
        with self.lock:
            self._store.clear(self.slug)
            self._load()

    # Who is where

    def repository(self, owner: str, name: str) -> Repository | None:
        wanted = f"{owner}/{name}".lower()
        return next((item for item in self.repositories if item.full_name.lower() == wanted), None)

    def organization(self, name: str) -> Organization | None:
        return next((item for key, item in self.organizations.items() if key.lower() == name.lower()), None)

    def organizations_of(self, login: str) -> list[Organization]:
        return [item for item in self.organizations.values() if item.has_member(login)]

    def is_reader(self, login: str, repository: Repository) -> bool:
        """Whether a person may read a repository, leaving tokens and policies aside."""
        if not repository.private or repository.owner == login:
            return True
        organization = self.organizations.get(repository.owner)
        return organization is not None and organization.has_member(login)

    def readable(self, login: str) -> list[Repository]:
        """The repositories a person owns or reaches through an organization, public ones included."""
        owners = {login} | {item.name for item in self.organizations_of(login)}
        return [item for item in self.repositories if item.owner in owners]

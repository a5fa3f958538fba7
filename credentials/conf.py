"""Every setting Forgekey reads, as one typed object with a default and a reason each.

A deployment sets ``CREDENTIALS_<NAME>`` in Django's settings; ``project/settings.py`` fills them from
the environment. Keys never pass through here: settings end up in tracebacks and error mails.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from credentials.errors import ConfigurationError

# What a deployment may set in the environment, each as CREDENTIALS_<name>; docs/configure.md lists them.
# Where the data lie is the deployment's own DATA_DIR.
NAMES = (
    "KEY_SOURCE",
    "KEY_RING",
    "PRODUCT_NAME",
    "SIGNUP_OPEN",
    "LEASE_SECONDS",
    "PENDING_SECONDS",
    "EXPIRING_SECONDS",
    "CONNECT_TIMEOUT_SECONDS",
    "READ_TIMEOUT_SECONDS",
    "SEAL_SECONDS",
    "DIAGNOSES_PER_MINUTE",
    "TRUSTED_PROXY_COUNT",
    "IMPORT_FILES",
    "IMPORT_BYTES",
    "IMPORT_FILE_BYTES",
    "IMPORT_UPLOAD_BYTES",
    "IMPORT_SECONDS",
    "IMPORTS_PER_USER",
    "IMPORTS_QUEUED_PER_USER",
    "STORED_BYTES_PER_USER",
    "STORED_BYTES",
    "SNAPSHOTS_KEPT",
    "IMPORTS_KEPT_DAYS",
)
_MOST_DIAGNOSES = 10_000
# More proxies in a row than this is a mistake.
_MOST_PROXIES = 5
_MIB = 1024 * 1024
_TIB = 1024 * 1024 * _MIB


class Configuration:
    """Typed access to the settings; each property says why it exists."""

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, f"CREDENTIALS_{name}", default)

    def _seconds(self, name: str, default: int, *, low: int, high: int) -> timedelta:
        value = self._get(name, default)
        if not isinstance(value, int) or not low <= value <= high:
            raise ConfigurationError(f"CREDENTIALS_{name} must be a whole number from {low} to {high}.")
        return timedelta(seconds=value)

    @property
    def key_source(self) -> str:
        """Where the key ring comes from: ``env:NAME``, ``file:/path``, ``credential:NAME`` or
        ``command:/path arguments``. The database never holds it, so a stolen dump opens nothing."""
        value: str = self._get("KEY_SOURCE", "")
        if not value:
            raise ConfigurationError("CREDENTIALS_KEY_SOURCE is empty; name where the key ring is.")
        return value

    @property
    def data_dir(self) -> Path:
        """Where the audit anchor and the embedded key file lie."""
        return Path(self._get("DATA_DIR", "var"))

    @property
    def product_name(self) -> str:
        """What people read as the name of the product; also the suggested name of their tokens."""
        value: str = self._get("PRODUCT_NAME", "Forgekey")
        return value

    @property
    def signup_open(self) -> bool:
        """Whether strangers may make themselves an account here; off, because products know their users."""
        return bool(self._get("SIGNUP_OPEN", False))

    @property
    def lease_duration(self) -> timedelta:
        """How long a lease lasts: long enough to clone, short enough that a forgotten one ends."""
        return self._seconds("LEASE_SECONDS", 3600, low=60, high=86_400)

    @property
    def pending_duration(self) -> timedelta:
        """How long a token that came back from OAuth waits for its owner's confirmation."""
        return self._seconds("PENDING_SECONDS", 600, low=60, high=600)

    @property
    def expiring_window(self) -> timedelta:
        """How long before its end a credential counts as expiring, so that people act in time."""
        return self._seconds("EXPIRING_SECONDS", 14 * 86_400, low=3600, high=90 * 86_400)

    @property
    def diagnoses_per_minute(self) -> int:
        """How often one person's repositories may be looked into: each time another server is asked."""
        value = self._get("DIAGNOSES_PER_MINUTE", 60)
        if not isinstance(value, int) or not 1 <= value <= _MOST_DIAGNOSES:
            raise ConfigurationError(
                "CREDENTIALS_DIAGNOSES_PER_MINUTE must be a whole number from 1 to 10000."
            )
        return value

    @property
    def connect_timeout(self) -> timedelta:
        """How long to wait for a provider's connection; a page waits for it."""
        return self._seconds("CONNECT_TIMEOUT_SECONDS", 5, low=1, high=60)

    @property
    def read_timeout(self) -> timedelta:
        """How long one answer of a provider may take in all, slow drips included."""
        return self._seconds("READ_TIMEOUT_SECONDS", 10, low=1, high=120)

    @property
    def seal_interval(self) -> timedelta:
        """How often the worker seals the audit trail: what an intruder could rewrite is younger."""
        return self._seconds("SEAL_SECONDS", 60, low=1, high=3600)

    @property
    def trusted_proxy_count(self) -> int:
        """How many proxies in front append to ``X-Forwarded-For``; 0 reads the connection's address.
        A wrong number would let callers choose the address their key is checked against."""
        value = self._get("TRUSTED_PROXY_COUNT", 0)
        if not isinstance(value, int) or not 0 <= value <= _MOST_PROXIES:
            raise ConfigurationError("CREDENTIALS_TRUSTED_PROXY_COUNT must be a whole number from 0 to 5.")
        return value

    def _number(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self._get(name, default)
        if not isinstance(value, int) or not low <= value <= high:
            raise ConfigurationError(f"CREDENTIALS_{name} must be a whole number from {low} to {high}.")
        return value

    @property
    def import_files(self) -> int:
        """How many files one import may bring; a person looks through what is imported."""
        return self._number("IMPORT_FILES", 20_000, low=1, high=200_000)

    @property
    def import_bytes(self) -> int:
        """How many bytes one import may bring, unpacked: what a worker's disk must have room for twice."""
        return self._number("IMPORT_BYTES", 512 * _MIB, low=_MIB, high=3 * 1024 * _MIB)

    @property
    def import_file_bytes(self) -> int:
        """How many bytes one file of an import may have."""
        return self._number("IMPORT_FILE_BYTES", 128 * _MIB, low=1024, high=3 * 1024 * _MIB)

    @property
    def import_upload_bytes(self) -> int:
        """How many bytes an uploaded ZIP may have; a proxy in front must let as many through."""
        return self._number("IMPORT_UPLOAD_BYTES", 256 * _MIB, low=1024, high=3 * 1024 * _MIB)

    @property
    def import_duration(self) -> timedelta:
        """How long one attempt at an import may take in all."""
        return self._seconds("IMPORT_SECONDS", 900, low=10, high=21_600)

    @property
    def imports_per_user(self) -> int:
        """How many imports of one person run at the same time, so that nobody keeps all workers busy."""
        return self._number("IMPORTS_PER_USER", 2, low=1, high=100)

    @property
    def imports_queued_per_user(self) -> int:
        """How many imports of one person may wait or run; more are refused until some have ended."""
        return self._number("IMPORTS_QUEUED_PER_USER", 20, low=1, high=10_000)

    @property
    def stored_bytes_per_user(self) -> int:
        """How many bytes the snapshots of one person may have together, each tree counted once."""
        return self._number("STORED_BYTES_PER_USER", 4 * 1024 * _MIB, low=_MIB, high=_TIB)

    @property
    def stored_bytes(self) -> int:
        """How many bytes all archives may have together; the storage must have them."""
        return self._number("STORED_BYTES", 100 * 1024 * _MIB, low=_MIB, high=1024 * _TIB)

    @property
    def snapshots_kept(self) -> int:
        """How many snapshots of a library are kept; the oldest goes when another comes. 0 keeps all."""
        return self._number("SNAPSHOTS_KEPT", 50, low=0, high=100_000)

    @property
    def imports_kept(self) -> timedelta:
        """How long an ended import is told of; the audit trail keeps it for good."""
        return timedelta(days=self._number("IMPORTS_KEPT_DAYS", 90, low=1, high=3650))

    def problems(self) -> list[tuple[str, str]]:
        """Every setting that is wrong, as (name, what to do)."""
        found = []
        for name, member in vars(type(self)).items():
            if isinstance(member, property):
                try:
                    getattr(self, name)
                except ConfigurationError as error:
                    found.append((name, str(error)))
        return found


conf = Configuration()

"""Reads the environment: every name also as ``NAME_FILE``, holding the path of a file with the value.

What is wrong is told by its name and in plain words, never by what stands there: that may be a secret.
"""

from __future__ import annotations

import os
import re
import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import FileAwareEnv

_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}
_BROKERS = ("redis", "rediss", "amqp", "amqps")
_FOLDER = re.compile(r"file:///[^/?#%][^?#%]*")
_S3 = re.compile(r"s3://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
_S3_OPTIONS = {
    "region": re.compile(r"[a-z0-9-]{1,50}"),
    "endpoint_url": re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?"),
    "addressing_style": re.compile(r"path|virtual"),
}
_DATABASES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


class Environment(FileAwareEnv):  # type: ignore[misc]  # django-environ ships no types
    """django-environ, but strict.

    As it comes, it takes a misspelled boolean for false, keeps the last line feed of a file, and looks a
    value that begins with a dollar sign up as another name.
    """

    def get_value(
        self, var: str, cast: Any = None, default: Any = FileAwareEnv.NOTSET, parse_default: bool = False
    ) -> Any:
        given = self._given(var)
        if given is None and default is self.NOTSET:
            raise ImproperlyConfigured(f"{var} is not set.")
        if given is None and not parse_default:
            return default
        return self._read(var, cast, default if given is None else given)

    def db(self, var: str, default: Any = FileAwareEnv.NOTSET) -> dict[str, Any]:
        """A database: SQLite or PostgreSQL."""
        read = super().db
        forms = "sqlite:////absolute/path or postgres://user:password@host:5432/name"
        found: dict[str, Any] = self._url(var, lambda: read(var, default), forms)
        if found.get("ENGINE") not in _DATABASES:
            raise ImproperlyConfigured(f"{var} must read {forms}.")
        return found

    def cache(self, var: str, default: Any = FileAwareEnv.NOTSET) -> dict[str, Any]:
        """A cache: local memory or Redis."""
        read = super().cache
        forms = "locmemcache://name or rediscache://host:6379/1"
        found: dict[str, Any] = self._url(var, lambda: read(var, default), forms)
        return found

    def email(self, var: str, default: Any = FileAwareEnv.NOTSET) -> dict[str, Any]:
        """Where mail goes."""
        read = super().email
        forms = "consolemail:// or smtp+tls://user:password@host:587"
        found: dict[str, Any] = self._url(var, lambda: read(var, default), forms)
        return found

    def task_queue(self, var: str) -> str:
        """The address of the broker whose workers carry out background tasks; empty where the database is the queue."""
        given = self._given(var) or ""
        engine, _, address = given.partition("+")
        if not given:
            return ""
        try:
            parts = urlsplit(address)
            is_right = parts.scheme in _BROKERS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_right = False
        if engine != "celery" or not is_right:
            forms = "celery+redis://:password@host:6379/2 or celery+amqp://user:password@host:5672/forgekey"
            raise ImproperlyConfigured(
                f"{var} must read {forms}; percent-encode what is special in a password."
            )
        return address

    def storage(self, var: str, *, default: Path) -> dict[str, Any]:
        """Where what is imported is kept: a folder, or a bucket of S3; what STORAGES takes."""
        given: str = self.str(var, default="")
        if not given:
            return _folder(str(default))
        found = None
        if _FOLDER.fullmatch(given):
            found = _folder(given.removeprefix("file://"))
        elif parts := _S3.fullmatch(given):
            found = _bucket(*parts.groups(default=""))
        if found is None:
            raise ImproperlyConfigured(
                f"{var} must read file:///absolute/path or s3://bucket/prefix?region=eu-central-1, for stores other "
                "than Amazon's with &endpoint_url=https://host. Keys do not belong there: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY."
            )
        return found

    def _given(self, var: str) -> str | None:
        try:
            value: str = self.ENVIRON[var]
        except KeyError:
            return None
        except (OSError, UnicodeDecodeError):
            pass
        else:
            return value.strip()
        raise ImproperlyConfigured(f"{var}_FILE must name a text file that Forgekey may read.")

    def _read(self, var: str, cast: Any, value: Any) -> Any:
        if cast is bool and isinstance(value, str):
            if value.lower() not in _BOOLEANS:
                raise ImproperlyConfigured(f"{var} must be true or false.")
            return _BOOLEANS[value.lower()]
        if cast is list and isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        try:
            return self.parse_value(value, cast)
        except ValueError:
            pass
        raise ImproperlyConfigured(f"{var} must be {'a whole number' if cast is int else 'well-formed'}.")

    @staticmethod
    def _url(var: str, read: Callable[[], dict[str, Any]], forms: str) -> dict[str, Any]:
        try:
            with warnings.catch_warnings():
                # An address it only half understands, it prints: with the password.
                warnings.simplefilter("error")
                return read()
        except (ValueError, KeyError, UserWarning, ImproperlyConfigured):
            pass
        # Outside of the handler: the parser's own words may repeat a part of the password.
        raise ImproperlyConfigured(f"{var} must read {forms}; percent-encode what is special in a password.")


def _folder(place: str) -> dict[str, Any]:
    options = {
        "location": place,
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    }
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}


def _bucket(name: str, prefix: str, query: str) -> dict[str, Any] | None:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    is_proper = (
        _BUCKET.fullmatch(name)
        and _PREFIX.fullmatch(prefix)
        and len(pairs) == len(options)
        and all(key in _S3_OPTIONS and _S3_OPTIONS[key].fullmatch(value) for key, value in pairs)
    )
    if not is_proper:
        return None
    endpoint = options.get("endpoint_url")
    found = {
        "bucket_name": name,
        "location": prefix.strip("/"),
        "region_name": options.get("region"),
        "endpoint_url": endpoint.rstrip("/") if endpoint else None,
        # Most of the others know a bucket by its path only.
        "addressing_style": options.get("addressing_style", "path" if endpoint else "virtual"),
    }
    return {"BACKEND": "project.s3.S3Storage", "OPTIONS": found}


env = Environment()


def key_source(data_dir: Path) -> str:
    """Where the key ring is, unless said: where ``CREDENTIALS_KEY_RING`` or its file is, else in the data
    folder. The ring itself is not read here: settings end up in tracebacks."""
    if path := os.environ.get("CREDENTIALS_KEY_RING_FILE"):
        return f"file:{path}"
    if "CREDENTIALS_KEY_RING" in os.environ:
        return "env:CREDENTIALS_KEY_RING"
    return f"file:{data_dir / 'key-ring'}"


def secret_key(data_dir: Path) -> str:
    """``SECRET_KEY`` from the environment, else one made at first start and kept in the data folder.

    The file is created with mode 0600 and is never replaced: sessions would end without a word.
    """
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    path = data_dir / "secret-key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        made = secrets.token_urlsafe(50)
        file.write(made)
    return made

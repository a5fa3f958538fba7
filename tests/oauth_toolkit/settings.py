"""Settings of the provider process: nothing of the product's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tests.oauth_toolkit.lifetimes import ACCESS

DATA_DIR = Path(os.environ["TOOLKIT_DATA_DIR"])
SECRET_KEY = secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE = ["tests.oauth_toolkit.control.FaultMiddleware"]
ROOT_URLCONF = "tests.oauth_toolkit.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "toolkit.sqlite3",
        # One request after another, from its first statement on. Otherwise the toolkit answers two uses of a
        # refresh token at the same moment with the same new pair, and the mistake goes unseen.
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }
}
OAUTH2_PROVIDER = {
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "EXTRA_SERVER_KWARGS": {"token_expires_in": ACCESS},
    "PKCE_REQUIRED": False,  # codes are made by hand here; that a verifier is sent is proved at the sandbox
    "SCOPES": {"read_user": "Read who you are", "read_repository": "Read repositories"},
    "OAUTH2_VALIDATOR_CLASS": "tests.oauth_toolkit.counting.CountingValidator",
}
LOGGING = {"version": 1, "loggers": {"django": {"level": "ERROR"}, "oauthlib": {"level": "CRITICAL"}}}

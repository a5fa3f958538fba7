"""The deployment's own settings, in a throw-away data folder and with a quick password hasher."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="forgekey-tests-")
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)

from project.settings import *  # noqa: E402, F403  # the folder must be named before the settings are read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
TASKS = {
    "default": {
        "BACKEND": "django_tasks.backends.immediate.ImmediateBackend",
        "QUEUES": ["default", "imports"],
    }
}
# A file, as in production: with SQLite in memory, threads would share one connection.
DATABASES["default"]["TEST"] = {"NAME": None}  # noqa: F405  # from the deployment's settings
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405  # as above
    DATABASES["default"]["TEST"]["NAME"] = os.path.join(os.environ["DATA_DIR"], "test.sqlite3")  # noqa: F405
# whitenoise looks for it at start.
STATIC_ROOT.mkdir(exist_ok=True)  # noqa: F405  # from the deployment's settings

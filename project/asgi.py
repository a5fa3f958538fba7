"""The ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application
from django.core.checks import Tags
from django.core.management.base import BaseCommand

from credentials.crypto.process import harden_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
harden_process()
application = get_asgi_application()
# Commands check the settings before they start; a server by itself would not.
BaseCommand().check(tags=[Tags.security])

"""The WSGI application, for granian, gunicorn and their like."""

from __future__ import annotations

import os

from django.core.checks import Tags
from django.core.management.base import BaseCommand
from django.core.wsgi import get_wsgi_application

from credentials.crypto.process import harden_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
harden_process()
application = get_wsgi_application()
# Commands check the settings before they start; a server by itself would not.
BaseCommand().check(tags=[Tags.security])

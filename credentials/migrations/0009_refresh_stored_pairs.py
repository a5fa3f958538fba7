"""Pairs that were stored before there was a refresher: it looks at them first."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.utils import timezone


def look_at_them(apps: Any, schema_editor: Any) -> None:
    pairs = apps.get_model("credentials", "Credential").objects.filter(refresh_envelope__isnull=False)
    pairs.filter(refresh_due_at=None).update(refresh_due_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("credentials", "0008_refresh_revocation_webhooks_duties")]
    operations = [migrations.RunPython(look_at_them, migrations.RunPython.noop)]

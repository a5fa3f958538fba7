"""Make the audit trail append-only, and set its first head."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from credentials.models.append_only import FIRST_LINK, create_guards, drop_guards


def guard(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("credentials", "AuditHead").objects.create(id=1, seq=0, link=FIRST_LINK)
    create_guards(editor)


def unguard(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    drop_guards(editor)
    apps.get_model("credentials", "AuditHead").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("credentials", "0001_initial")]

    operations = [migrations.RunPython(guard, unguard)]

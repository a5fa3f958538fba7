"""Give every organization that a credential knows a row of its own."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F


def separate(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    accesses = apps.get_model("credentials", "OrganizationAccess")
    organizations = apps.get_model("credentials", "Organization")
    accesses.objects.update(since=F("first_seen_at"))
    for access in accesses.objects.select_related("credential").order_by("first_seen_at").iterator():
        access.organization, _created = organizations.objects.get_or_create(
            host_id=access.credential.host_id,
            key=access.key.lower(),
            defaults={"name": access.name, "first_seen_at": access.first_seen_at},
        )
        access.save(update_fields=["organization"])
    _keep_the_latest_of_each(accesses)


def _keep_the_latest_of_each(accesses: Any) -> None:
    """Two spellings of one name were two accesses; now they would be the same one."""
    kept: set[tuple[Any, Any]] = set()
    latest = accesses.objects.order_by("-checked_at").values_list("pk", "credential", "organization")
    for pk, credential, organization in list(latest):
        if (credential, organization) in kept:
            accesses.objects.filter(pk=pk).delete()
        kept.add((credential, organization))


class Migration(migrations.Migration):
    dependencies = [("credentials", "0003_organization_board")]

    operations = [migrations.RunPython(separate, migrations.RunPython.noop)]

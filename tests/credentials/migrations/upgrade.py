"""Run as a program: fills an empty database as it was at migration 0002, migrates it, and tells what is there."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import django
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE: Final = ("credentials", "0002_append_only_audit_trail")
SEEN_FIRST: Final = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)

# Host, credential, key, name and state of each access; the older one first.
ACCESSES: Final = (
    ("github", "alice", "Acme", "Acme Inc.", "accessible"),
    ("github", "bob", "acme", "acme", "not_approved"),
    ("github", "bob", "sso-corp", "SSO Corp", "sso_required"),
    ("gitlab", "alice", "acme/Sub", "Sub", "accessible"),
    ("gitlab", "alice", "acme", "Acme", "unknown"),
    # One organization in two spellings through one credential: the second look is the later one.
    ("gitlab", "bob", "Twice", "Twice", "accessible"),
    ("gitlab", "bob", "twice", "Twice", "policy_blocked"),
)


def fill(apps: Any) -> None:
    """The rows, by the models as they were."""
    people = apps.get_model("auth", "User").objects
    users = {name: people.create(username=name) for name in ("alice", "bob")}
    hosts = {}
    for slug in ("github", "gitlab"):
        web = f"https://{slug}.example"
        hosts[slug] = apps.get_model("credentials", "Host").objects.create(
            slug=slug, provider=slug, name=slug, web_url=web, api_url=web, web_origin=web
        )
    held: dict[tuple[str, str], Any] = {}
    for number, (slug, owner, key, name, state) in enumerate(ACCESSES):
        if (slug, owner) not in held:
            held[slug, owner] = apps.get_model("credentials", "Credential").objects.create(
                owner=users[owner], host=hosts[slug], kind="oauth", status="valid"
            )
        accesses = apps.get_model("credentials", "OrganizationAccess").objects
        access = accesses.create(
            credential=held[slug, owner],
            key=key,
            name=name,
            state=state,
            checked_at=SEEN_FIRST + timedelta(days=number),
        )
        accesses.filter(pk=access.pk).update(first_seen_at=SEEN_FIRST + timedelta(hours=number))


def tell() -> dict[str, Any]:
    """What is there now, by the present models."""
    # Models are there only after django.setup().
    from credentials.models import AuditEvent, Organization, OrganizationAccess  # noqa: PLC0415

    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, AuditEvent._meta.db_table)
    accesses = OrganizationAccess.objects.select_related("organization__host", "credential__owner")
    return {
        "organizations": sorted(
            Organization.objects.values_list("host__slug", "key", "name"),
        ),
        "accesses": sorted(
            [
                access.organization.host.slug,
                access.credential.owner.username,
                access.organization.key,
                access.state,
                access.since == access.first_seen_at,
                access.credential.host_id == access.organization.host_id,
            ]
            for access in accesses
        ),
        "audited": indexes["audit_by_organization"]["columns"],
    }


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    executor = MigrationExecutor(connection)
    others = [node for node in executor.loader.graph.leaf_nodes() if node[0] != "credentials"]
    state = executor.migrate([BEFORE, *others])
    fill(state.apps)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    print(json.dumps(tell()))


if __name__ == "__main__":
    main()

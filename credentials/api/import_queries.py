"""What a caller can see of libraries, snapshots and imports: a person their own, a client everybody's.

A client that is limited to hosts sees what came from those, or by ZIP, and a library as if it held nothing else.
"""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from credentials.api.authentication import Caller
from credentials.errors import NotFound, PermissionRefused
from credentials.models import Import, Library, Snapshot, Source
from credentials.providers.repository_url import parse
from credentials.services import clients
from credentials.services.targets import find_target

Row = TypeVar("Row", bound=Model)


def imports(caller: Caller) -> QuerySet[Import]:
    """The imports this caller can see."""
    rows = Import.objects.select_related("library__owner", "snapshot")
    if caller.client is None:
        return rows.filter(library__owner=caller.user)
    return rows.filter(_within(caller))


def snapshots(caller: Caller) -> QuerySet[Snapshot]:
    """The snapshots this caller can see, without their manifests."""
    rows = Snapshot.objects.select_related("library__owner", "tree").defer("tree__manifest")
    if caller.client is None:
        return rows.filter(library__owner=caller.user)
    return rows.filter(_within(caller))


def libraries(caller: Caller) -> QuerySet[Library]:
    """The libraries this caller can see, with ``snapshots_told`` (how many) and ``latest_id`` of what it sees."""
    inside = snapshots(caller).filter(library=OuterRef("pk")).order_by()
    total = inside.values("library").annotate(total=Count("pk")).values("total")
    rows = Library.objects.select_related("owner").annotate(
        snapshots_told=Coalesce(Subquery(total), 0),
        latest_id=Subquery(inside.order_by("-number").values("pk")[:1]),
    )
    if caller.client is None:
        return rows.filter(owner=caller.user)
    if not caller.hosts:
        return rows
    hidden = Q(Exists(_all(Snapshot))) | Q(Exists(_all(Import)))
    jobs = imports(caller).filter(library=OuterRef("pk"))
    return rows.filter(Q(latest_id__isnull=False) | Q(Exists(jobs)) | ~hidden)


def one_import(caller: Caller, import_id: UUID) -> Import:
    """One import; raises NotFound for one this caller cannot see."""
    return _one(imports(caller), import_id, "There is no such import.")


def one_snapshot(caller: Caller, snapshot_id: UUID) -> Snapshot:
    """One snapshot; raises NotFound for one this caller cannot see."""
    return _one(snapshots(caller), snapshot_id, "There is no such snapshot.")


def one_library(caller: Caller, library_id: UUID) -> Library:
    """One library; raises NotFound for one this caller cannot see."""
    return _one(libraries(caller), library_id, "There is no such library.")


def require_whole(caller: Caller, library: Library) -> None:
    """Raises PermissionRefused where a library holds more than this client can see: removing it would take that
    along."""
    for model in (Snapshot, Import):
        rows = model._default_manager.filter(library=library)
        if caller.hosts and rows.exclude(_within(caller)).exists():
            raise PermissionRefused("This library holds what came from hosts this service key may not use.")


def require_host_of(caller: Caller, repository_url: str) -> None:
    """Raises PermissionRefused where the address is at a host that this client may not use, known or not, and
    AddressInvalid where it is none."""
    if caller.client is None or not caller.hosts:
        return
    found = find_target(parse(repository_url))
    if found is None:
        raise PermissionRefused("This service key may not be used for this host.")
    clients.require_host(caller.client, found.host.slug)


def _one(rows: QuerySet[Row], pk: UUID, missing: str) -> Row:
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound(missing)
    return found


def _all(model: Any) -> Any:
    return model._default_manager.filter(library=OuterRef("pk"))


def _within(caller: Caller) -> Q:
    """What came by ZIP, or from a host this client may use."""
    return Q(source=Source.ZIP) | Q(host__in=caller.hosts) if caller.hosts else Q()

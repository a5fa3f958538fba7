"""The rows Forgekey keeps; only ``credentials.services`` writes them."""

from __future__ import annotations

from credentials.models.audit import AuditEvent, AuditHead, AuditSeal
from credentials.models.credential import Credential, Hold, Status
from credentials.models.host import Host
from credentials.models.host_health import HostHealth
from credentials.models.idempotency import IdempotencyRecord
from credentials.models.keys import PurposeKey, RingKey
from credentials.models.lease import Lease, Outcome
from credentials.models.notice import Notice
from credentials.models.organization import AccessState, Organization, OrganizationAccess
from credentials.models.pending import PendingConnection
from credentials.models.repository import RepositoryAccess
from credentials.models.service_client import Scope, ServiceClient

__all__ = [
    "AccessState",
    "AuditEvent",
    "AuditHead",
    "AuditSeal",
    "Credential",
    "Hold",
    "Host",
    "HostHealth",
    "IdempotencyRecord",
    "Lease",
    "Notice",
    "Organization",
    "OrganizationAccess",
    "Outcome",
    "PendingConnection",
    "PurposeKey",
    "RepositoryAccess",
    "RingKey",
    "Scope",
    "ServiceClient",
    "Status",
]

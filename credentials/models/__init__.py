"""The rows Forgekey keeps; only ``credentials.services`` writes them."""

from __future__ import annotations

from credentials.models.audit import AuditEvent, AuditHead, AuditSeal
from credentials.models.credential import Credential, Status
from credentials.models.host import Host
from credentials.models.idempotency import IdempotencyRecord
from credentials.models.keys import PurposeKey, RingKey
from credentials.models.lease import Lease, Outcome
from credentials.models.organization import OrganizationAccess
from credentials.models.pending import PendingConnection
from credentials.models.service_client import Scope, ServiceClient

__all__ = [
    "AuditEvent",
    "AuditHead",
    "AuditSeal",
    "Credential",
    "Host",
    "IdempotencyRecord",
    "Lease",
    "OrganizationAccess",
    "Outcome",
    "PendingConnection",
    "PurposeKey",
    "RingKey",
    "Scope",
    "ServiceClient",
    "Status",
]

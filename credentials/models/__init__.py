"""The rows Forgekey keeps; only ``credentials.services`` writes them."""

from __future__ import annotations

from credentials.models.audit import AuditEvent, AuditHead, AuditSeal
from credentials.models.credential import Credential, Hold, QuarantineReason, Status
from credentials.models.duty import Duty, Process
from credentials.models.host import Host
from credentials.models.host_health import HostHealth
from credentials.models.idempotency import IdempotencyRecord
from credentials.models.import_job import Import, ImportState, ProgressUnit, Stage
from credentials.models.keys import PurposeKey, RingKey
from credentials.models.lease import Lease, Outcome
from credentials.models.library import Library, Snapshot, Source, StoredTree
from credentials.models.notice import Notice
from credentials.models.organization import AccessState, Organization, OrganizationAccess
from credentials.models.pending import PendingConnection
from credentials.models.repository import RepositoryAccess
from credentials.models.revocation import Revocation, RevocationReason, RevocationState
from credentials.models.service_client import Scope, ServiceClient
from credentials.models.webhook import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookMessage,
)

__all__ = [
    "AccessState",
    "AuditEvent",
    "AuditHead",
    "AuditSeal",
    "Credential",
    "DeliveryState",
    "Duty",
    "Hold",
    "Host",
    "HostHealth",
    "IdempotencyRecord",
    "Import",
    "ImportState",
    "Lease",
    "Library",
    "Notice",
    "Organization",
    "OrganizationAccess",
    "Outcome",
    "PendingConnection",
    "Process",
    "ProgressUnit",
    "PurposeKey",
    "QuarantineReason",
    "RepositoryAccess",
    "Revocation",
    "RevocationReason",
    "RevocationState",
    "RingKey",
    "Scope",
    "ServiceClient",
    "Snapshot",
    "Source",
    "Stage",
    "Status",
    "StoredTree",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookMessage",
]

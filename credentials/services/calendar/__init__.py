"""The death calendar: what ends when, who is told, and how a date that no host tells is put right."""

from __future__ import annotations

from credentials.services.calendar.digest import mail_administrators
from credentials.services.calendar.ends import End, EndKind, Mend, crowded, ends_of, prepared, read
from credentials.services.calendar.expiry import can_set_expiry, set_expiry
from credentials.services.calendar.warnings import THRESHOLDS, warn_due

__all__ = [
    "THRESHOLDS",
    "End",
    "EndKind",
    "Mend",
    "can_set_expiry",
    "crowded",
    "ends_of",
    "mail_administrators",
    "prepared",
    "read",
    "set_expiry",
    "warn_due",
]

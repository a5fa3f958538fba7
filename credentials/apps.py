"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class CredentialsConfig(AppConfig):
    """Registers system checks, what SQLite needs to link audit events, and who notices that people leave."""

    name = "credentials"
    verbose_name = _("Credentials")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from credentials import checks  # noqa: PLC0415  # models are not ready any earlier
        from credentials.models.append_only import teach_sqlite  # noqa: PLC0415  # as above
        from credentials.services import departures  # noqa: PLC0415  # as above

        checks.register_all()
        departures.watch()
        connection_created.connect(teach_sqlite, dispatch_uid="credentials.teach_sqlite")

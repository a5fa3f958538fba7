"""S3, or what speaks like it, as the place of what is imported: needs ``pip install "django-storages[s3]>=1.14"``.

Its keys come from the environment when they are needed; they are no settings, which end up in tracebacks.
"""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from storages.backends import s3

from project.env import env

# An archive that is read lies in memory up to here, then in FILE_UPLOAD_TEMP_DIR.
_SPOOLED_BYTES = 1024 * 1024


class S3Storage(s3.S3Storage):  # type: ignore[misc]  # django-storages ships no types
    """A bucket that keeps a file only once it is whole, and never puts one in the place of another."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 3},
            signature_version="s3v4",
            s3={"addressing_style": self.addressing_style},
            # Stores that are not Amazon's may not know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    def get_default_settings(self) -> dict[str, Any]:
        """What ``STORAGE_URL`` leaves open. Without keys, boto3 looks where it always does: a profile, a role."""
        return {
            **super().get_default_settings(),
            "access_key": env.str("AWS_ACCESS_KEY_ID", default=None),
            "secret_key": env.str("AWS_SECRET_ACCESS_KEY", default=None),
            "security_token": env.str("AWS_SESSION_TOKEN", default=None),
            "file_overwrite": False,
            "max_memory_size": _SPOOLED_BYTES,
        }

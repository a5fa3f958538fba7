"""The HTTP API under ``/api/v1/`` (contract, section 3)."""

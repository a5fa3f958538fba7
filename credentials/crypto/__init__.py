"""Secrets, envelopes and keys: everything that may touch plaintext, free of Django and of the database."""

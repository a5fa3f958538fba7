"""Forgekey: a credential manager for products whose users bring their own Git hosting account."""

"""What every template may say: the product's name, and whether strangers may sign up."""

from __future__ import annotations

from django.http import HttpRequest

from credentials.conf import conf


def branding(request: HttpRequest) -> dict[str, object]:
    """The context processor named in the settings."""
    return {"product_name": conf.product_name, "signup_open": conf.signup_open}

"""GitLab's addresses, answered by the toolkit."""

from __future__ import annotations

from django.urls import path

from tests.oauth_toolkit import views
from tests.oauth_toolkit.control import control

urlpatterns = [
    path("oauth/token", views.CountedTokenView.as_view()),
    path("oauth/revoke", views.CountedRevokeView.as_view()),
    path("oauth/token/info", views.token_info),
    path("api/v4/user", views.user),
    path("_control/<slug:what>", control),
]

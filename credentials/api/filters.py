"""What the list of credentials can be narrowed by."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter, FilterSet

from credentials.models import Credential, Status


class CredentialFilter(FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """``user``, ``host``, ``provider``, ``status``. What was disconnected is told only where it is asked for."""

    user = CharFilter(f"owner__{get_user_model().USERNAME_FIELD}", max_length=254)
    host = CharFilter("host__slug", max_length=50)
    provider = CharFilter("host__provider", max_length=30)
    status = ChoiceFilter(choices=Status.choices)

    class Meta:
        model = Credential
        fields = ("user", "host", "provider", "status")

    def filter_queryset(self, queryset: QuerySet[Credential]) -> Any:
        narrowed = super().filter_queryset(queryset)
        if self.form.cleaned_data["status"]:
            return narrowed
        return narrowed.exclude(status=Status.DISCONNECTED)

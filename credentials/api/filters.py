"""What lists can be narrowed by."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter, FilterSet

from credentials.models import Credential, Import, ImportState, Library, Status
from credentials.models.library import NAME_LENGTH


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


class LibraryFilter(FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """``user``."""

    user = CharFilter(f"owner__{get_user_model().USERNAME_FIELD}", max_length=254)

    class Meta:
        model = Library
        fields = ("user",)


class ImportFilter(FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """``user``, ``library`` (an id or a name), ``state``."""

    user = CharFilter(f"library__owner__{get_user_model().USERNAME_FIELD}", max_length=254)
    library = CharFilter(method="of_library", max_length=NAME_LENGTH)
    state = ChoiceFilter(choices=ImportState.choices)

    class Meta:
        model = Import
        fields = ("user", "library", "state")

    def of_library(self, rows: QuerySet[Import], _name: str, value: str) -> QuerySet[Import]:
        """The imports of the library of this id, or of those of this name."""
        try:
            return rows.filter(library=UUID(value))
        except ValueError:
            return rows.filter(library__name__iexact=value)

"""The forms people fill in, shared by the pages and the admin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credentials.crypto.secret import Secret
from credentials.models.credential import LABEL_LENGTH
from credentials.models.library import NAME_LENGTH
from credentials.providers.facts import TokenGuide
from credentials.providers.repository_url import MAXIMUM_LENGTH
from credentials.services.connect import ManualEntry


class LabelForm(forms.Form):
    """The name a person gives a credential."""

    label = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=LABEL_LENGTH,
        help_text=_("Only you see it. Leave it empty to use the account's name."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ExpiryForm(forms.Form):
    """When a token ends, where its host does not tell. ``today`` is the date from which it may lie ahead."""

    expires_at = forms.DateField(
        label=_("Ends on"),
        required=False,
        help_text=_("The date you chose when you made the token. Leave it empty if it has none."),
        widget=forms.DateInput(attrs={"type": "date", "autocomplete": "off"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )

    def __init__(self, *args: Any, today: date, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._today = today

    def clean_expires_at(self) -> datetime | None:
        return _end_of(self.cleaned_data["expires_at"], self._today)


def _end_of(given: date | None, today: date) -> datetime | None:
    """The moment a date means: providers end a token at the beginning of its last day, in UTC."""
    if given is not None and given <= today:
        raise forms.ValidationError(_("This date is not in the future."))
    return datetime.combine(given, time.min, tzinfo=UTC) if given else None


class AddressForm(forms.Form):
    """The address of a repository, as people paste it. How it is read is the services' business."""

    repository_url = forms.CharField(
        label=_("Address of the repository"),
        max_length=MAXIMUM_LENGTH,
        help_text=_("As it stands in the browser, or behind the clone button."),
        widget=forms.TextInput(
            attrs={
                "inputmode": "url",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "placeholder": "https://",
            }
        ),
    )


class TokenForm(forms.Form):
    """A token, and what its provider wants beside it; the fields follow the provider's guide.

    ``today`` is the date from which an expiry may lie ahead. The token is never rendered back.
    """

    token = forms.CharField(
        label=_("Token"),
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
    )
    email = forms.EmailField(
        label=_("E-mail address there"),
        required=False,
        help_text=_("The address of your account at this host; it is checked together with an API token."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    username = forms.CharField(
        label=_("User name there"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    label = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=LABEL_LENGTH,
        help_text=_("Only you see it. Useful when you connect several accounts."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires_at = forms.DateField(
        label=_("Expires on"),
        required=False,
        help_text=_("The date you chose there. Where the host tells it, the host's answer counts."),
        widget=forms.DateInput(attrs={"type": "date", "autocomplete": "off"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )

    def __init__(self, *args: Any, guide: TokenGuide, today: date, with_label: bool = True, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._today = today
        for name in ("email", "username"):
            if name not in guide.fields:
                del self.fields[name]
        if not with_label:
            del self.fields["label"]
        self.order_fields([*guide.fields, "label", "expires_at"])

    def clean_expires_at(self) -> datetime | None:
        return _end_of(self.cleaned_data["expires_at"], self._today)

    def entry(self) -> ManualEntry:
        """What was typed, with the token as a Secret. The form forgets the token; call it once."""
        return ManualEntry(
            token=Secret(self.cleaned_data.pop("token")),
            email=self.cleaned_data.get("email", ""),
            username=self.cleaned_data.get("username", ""),
            label=self.cleaned_data.get("label", ""),
            expires_at=self.cleaned_data.get("expires_at"),
        )

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """What everybody fills in."""
        return [self[name] for name in self.fields if name not in {"label", "expires_at"}]

    @property
    def further_fields(self) -> list[forms.BoundField]:
        """What can be left alone."""
        return [self[name] for name in self.fields if name in {"label", "expires_at"}]


class LibraryNameForm(forms.Form):
    """The name of a library."""

    name = forms.CharField(
        label=_("Name"), max_length=NAME_LENGTH, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class _ImportForm(forms.Form):
    """What every import asks: into which library, and which folder of what comes."""

    library = forms.CharField(
        label=_("Library"),
        max_length=NAME_LENGTH,
        help_text=_("A new name makes a library. The name of one you have adds a version to it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "my-libraries"}),
    )
    subdirectory = forms.CharField(
        label=_("Folder"),
        required=False,
        max_length=1000,
        help_text=_("Leave it empty for everything."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )


class GitImportForm(_ImportForm):
    """Which branch and which folder of a repository are imported, into which library.

    ``folders`` are those to choose from; without them one is typed. ``default_branch`` is what an empty ref means.
    """

    repository_url = forms.CharField(widget=forms.HiddenInput())
    ref = forms.CharField(
        label=_("Branch, tag or commit"),
        required=False,
        max_length=250,
        help_text=_("Leave it empty for the default branch."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "list": "refs"}
        ),
    )
    field_order = ("repository_url", "ref", "subdirectory", "library")

    def __init__(
        self, *args: Any, folders: Sequence[str] | None = None, default_branch: str = "", **kwargs: Any
    ):
        super().__init__(*args, **kwargs)
        if default_branch:
            self.fields["ref"].widget.attrs["placeholder"] = default_branch
        if folders is not None:
            everything = ("", _("Everything"))
            self.fields["subdirectory"].widget = forms.Select(
                choices=[everything, *((one, one) for one in folders)]
            )
            self.fields["subdirectory"].help_text = ""


class ZipImportForm(_ImportForm):
    """A ZIP file, and into which library it goes. The file itself is read by credentials/uploads.py."""

    unwrap = forms.BooleanField(
        label=_("Leave out a single folder around everything"),
        required=False,
        initial=True,
        help_text=_("As downloads from Git hosts have one."),
    )

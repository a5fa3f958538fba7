"""Forms whose saving is a service: what the service refuses becomes an error of the form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse

from credentials.admin.guarded import GuardedAdmin
from credentials.errors import ForgekeyError

if TYPE_CHECKING:
    AnyModelForm = forms.ModelForm[Any]
else:  # Django's class takes no type argument at run time
    AnyModelForm = forms.ModelForm

_REFUSAL = "forgekey.refusal"


class ServiceForm(AnyModelForm):
    """A form that can show why a service refused what it held."""

    refusal: ClassVar[ForgekeyError | None] = None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.refusal is not None:
            named = getattr(self.refusal, "field", "")
            self.add_error(named if named in self.fields else None, str(self.refusal))
        return data


class ServiceFormAdmin(GuardedAdmin):
    """Saves through a service.

    Django has called a form valid by the time it saves. A refusal then undoes the transaction, and the
    same request is answered once more with the reason among the form's errors.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ForgekeyError as refusal:
            request.META[_REFUSAL] = refusal
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        # Django makes this class anew for each request.
        form.refusal = request.META.get(_REFUSAL)  # type: ignore[attr-defined]  # ours is a ServiceForm
        return form

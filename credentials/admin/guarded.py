"""What every page of the admin keeps to, whatever it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from credentials.services.audit import Actor
from credentials.services.circumstances import actor_of_user
from credentials.verdicts import Text

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
else:  # Django's class takes no type argument at run time
    AnyAdmin = admin.ModelAdmin

TRAIL = "admin:credentials_auditevent_changelist"
MAY_SEE_TRAIL = "credentials.view_auditevent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a person confirms before an action runs: the page's title, what will happen, the button's word.

    ``hidden`` goes along with the answer.
    """

    action: str
    title: Text
    text: Text
    button: Text
    hidden: Mapping[str, str] = field(default_factory=dict)


class GuardedAdmin(AnyAdmin):
    """No deletion, no peeking by query string, and a history that is the audit trail's.

    ``lookups`` are fields that an address may filter by beside those in ``list_filter``. ``page_actions``
    are the actions offered on an object's own page, with the words on their buttons.
    """

    lookups: ClassVar[tuple[str, ...]] = ()
    page_actions: ClassVar[Mapping[str, Text]] = {}
    subject_kind: ClassVar[str] = ""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted: the trail, leases and clients name it."""
        return False

    def permitted(self, request: HttpRequest, verb: str) -> bool:
        """Whether Django's groups grant the person this model's ``add``, ``change``, ``delete`` or ``view``.

        Pages without a form still have actions; this is what they ask.
        """
        return bool(request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}"))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what is on the page can be asked for.

        Django lets an address filter by every column of the model. ``?key_hash__gt=…`` would read out a
        hash or an envelope piece by piece from which rows answer.
        """
        offered = {_path_of(one) for one in self.get_list_filter(request)} | set(self.lookups) | {"pk", "id"}
        named = any(lookup == path or lookup.startswith(f"{path}__") for path in offered)
        return named and super().lookup_allowed(lookup, value, request)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What happened to it, as the trail tells it; Django's own history where the trail is closed."""
        found = self.get_object(request, unquote(object_id))
        allowed = self.has_view_permission(request, found) and request.user.has_perm(MAY_SEE_TRAIL)
        trail = self.trail_of(found) if found is not None and allowed else None
        if trail:
            return redirect(f"{reverse(TRAIL)}?{urlencode(trail)}")
        return super().history_view(request, object_id, extra_context)

    def trail_of(self, found: Any) -> dict[str, str]:
        """The trail's filter for one object; empty where the trail does not speak of such things."""
        return {"subject_kind": self.subject_kind, "subject_id": str(found.pk)} if self.subject_kind else {}

    def offered(self, found: Any) -> Iterable[str]:
        """The names of the actions that make sense for this object."""
        return self.page_actions

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        found = kwargs.get("obj")
        if found is not None:
            permitted = self.get_actions(request)
            names = [name for name in self.offered(found) if name in permitted]
            context["page_actions"] = [(name, self.page_actions[name]) for name in names]
        return super().render_change_form(request, context, *args, **kwargs)

    def ask(self, request: HttpRequest, chosen: QuerySet[Any], question: Question) -> HttpResponse:
        """The page that asks before an action runs; its answer comes back to the same action."""
        context = {
            **self.admin_site.each_context(request),
            "title": question.title,
            "question": question,
            "chosen": list(chosen),
            "opts": self.opts,
            "box": ACTION_CHECKBOX_NAME,
            "from_page": request.POST.get("from_page", ""),
        }
        return TemplateResponse(request, "admin/credentials/confirm_action.html", context)

    def confirmed(self, request: HttpRequest) -> bool:
        """Whether this request is the answer to :meth:`ask`."""
        return request.POST.get("confirmed") == "yes"

    def back(self, request: HttpRequest, chosen: Iterable[Model]) -> HttpResponse | None:
        """After an action: to the object's page, if it was started there, else to the list."""
        if request.POST.get("from_page") != "yes":
            return None
        (found,) = chosen
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(name, object_id=quote(found.pk))


def _path_of(offer: Any) -> str:
    """The field that a filter of ``list_filter`` looks at, or the parameter it reads."""
    if isinstance(offer, list | tuple):
        offer = offer[0]
    return offer if isinstance(offer, str) else str(offer.parameter_name)


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in member of staff as the one who acts."""
    return actor_of_user(request.META, request.user)

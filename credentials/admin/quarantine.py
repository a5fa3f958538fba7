"""Putting credentials out of use, and back, in the administration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.guarded import GuardedAdmin, Question, actor_of
from credentials.errors import ForgekeyError
from credentials.models import Credential, QuarantineReason, Status
from credentials.services import quarantine

if TYPE_CHECKING:
    Base = GuardedAdmin
else:  # it stands beside the admin's own class
    Base = object


class QuarantineActions(Base):
    """For whoever has the ``change`` permission of credentials."""

    def has_quarantine_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "change")

    @admin.action(description=gettext_lazy("Quarantine the selected credentials"), permissions=["quarantine"])
    def quarantine(self, request: HttpRequest, chosen: QuerySet[Credential]) -> HttpResponse | None:
        """After a confirmation: nobody borrows or uses them until they are released."""
        if not self.confirmed(request):
            return self.ask(request, chosen, _QUARANTINE)
        actor, now, reason = actor_of(request), timezone.now(), QuarantineReason.ADMINISTRATOR
        every = Credential.objects.filter(pk__in=list(chosen.values_list("pk", flat=True)))
        done = quarantine.quarantine_all(actor=actor, credentials=every, reason=reason, now=now)
        self.message_user(request, _("Quarantined: %d. Nothing is lent of them any more.") % done)
        return self.back(request, every)

    @admin.action(description=gettext_lazy("Release the selected credentials"), permissions=["quarantine"])
    def release(self, request: HttpRequest, chosen: QuerySet[Credential]) -> HttpResponse | None:
        """After a confirmation: they are in use again, and checked in the background."""
        if not self.confirmed(request):
            return self.ask(request, chosen, _RELEASE)
        held = list(chosen.filter(status=Status.QUARANTINED))
        done = 0
        for credential in held:
            try:
                quarantine.release(actor=actor_of(request), credential=credential, now=timezone.now())
                done += 1
            except ForgekeyError as error:
                self.message_user(request, f"{credential.owner}: {error}", messages.ERROR)
        text = _("Released: %d. The worker checks them now.")
        self.message_user(request, text % done, messages.SUCCESS if done == len(held) else messages.WARNING)
        return self.back(request, chosen)


def offered_for(credential: Credential) -> Iterable[str]:
    """Which of the two makes sense for a credential."""
    if not credential.is_connected:
        return ()
    return ("release",) if credential.status == Status.QUARANTINED else ("quarantine",)


_QUARANTINE = Question(
    action="quarantine",
    title=gettext_lazy("Quarantine credentials?"),
    text=gettext_lazy(
        "Nothing is lent of them from that moment on, what is lent now ends, and nobody uses them, not even to "
        "check them. The secrets stay, and a release takes it back. Their owners are told."
    ),
    button=gettext_lazy("Quarantine"),
)
_RELEASE = Question(
    action="release",
    title=gettext_lazy("Release credentials?"),
    text=gettext_lazy("They are in use again at once, and the worker checks them. Their owners are told."),
    button=gettext_lazy("Release"),
)

"""What every view shares: who may see whose credentials, and answers that no cache keeps."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.cache import patch_cache_control
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credentials.errors import InputInvalid, NotFound, PermissionRefused
from credentials.models import Credential, Lease, ServiceClient
from credentials.services import clients
from credentials.services.audit import Actor
from credentials.services.circumstances import actor_of_user, address_of, request_id_of

LARGEST_BODY = 65_536


class ApiView(APIView):
    """Answers are never stored, and a body is never large."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            raise InputInvalid("The body is too large.")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(answer, no_store=True)
        answer["Pragma"] = "no-cache"
        return answer

    @property
    def client(self) -> ServiceClient | None:
        auth = self.request.auth
        return auth if isinstance(auth, ServiceClient) else None

    @property
    def actor(self) -> Actor:
        meta = self.request.META
        if self.client is not None:
            return clients.actor_of(self.client, request_id=request_id_of(meta), address=address_of(meta))
        return actor_of_user(meta, self.request.user)

    def visible(self) -> QuerySet[Credential]:
        """The credentials this caller may see: a person's own, or those at a client's hosts."""
        last = (
            Lease.objects.filter(credential=OuterRef("pk")).order_by("-created_at").values("created_at")[:1]
        )
        found = Credential.objects.select_related("host", "owner").annotate(last_used_at=Subquery(last))
        if self.client is None:
            return found.filter(owner_id=self.request.user.pk)
        return found.filter(host__slug__in=self.client.hosts) if self.client.hosts else found

    def one_visible(self, credential_id: UUID) -> Credential:
        """That credential; anybody else's is not there."""
        credential = self.visible().filter(pk=credential_id).first()
        if credential is None:
            raise NotFound("There is no such credential.")
        return credential

    def subject_user(self, name: str) -> Any:
        """The user a request is about: the named one for a client, oneself for a person."""
        if self.client is None:
            if name and name != self.request.user.get_username():
                raise PermissionRefused("You may act only for yourself.")
            return self.request.user
        if not name:
            raise InputInvalid("Say for which user.", field="user")
        users = get_user_model()._default_manager
        user = users.filter(**{get_user_model().USERNAME_FIELD: name, "is_active": True}).first()
        if user is None:
            raise NotFound("There is no such user.")
        return user


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(body, status=status)

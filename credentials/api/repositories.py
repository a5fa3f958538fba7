"""``/credentials/{id}/repositories/``: a list to choose from, straight from the host."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api.bodies import repository_body
from credentials.api.credentials import CredentialsView
from credentials.api.inputs import RepositoriesQuery
from credentials.api.outputs import ProblemShape, RepositoryPageShape
from credentials.api.views import READ, answer
from credentials.errors import ListingNotPossible
from credentials.services import repositories

_REFUSED = OpenApiResponse(
    ProblemShape,
    description="The token may read, but not list (`listing_not_possible`), or its host refuses it (`verdict`).",
)


class Repositories(CredentialsView):
    """What one credential can list."""

    needs = {"GET": READ}

    @extend_schema(
        operation_id="credentials_repositories",
        summary="Repositories that one credential can list",
        description=(
            "Asked of the host now, and kept in the audit trail as a use of the credential. A page may be short or "
            "empty although `next` leads on."
        ),
        parameters=[RepositoriesQuery],
        responses={200: RepositoryPageShape, 422: _REFUSED},
    )
    def get(self, request: Request, credential_id: UUID) -> Response:
        wanted = self.read_query(RepositoriesQuery)
        credential = self.open_credential(credential_id)
        page = repositories.page(
            actor=self.caller.actor, credential=credential, query=wanted["q"], cursor=wanted["cursor"]
        )
        if page is None:
            raise ListingNotPossible("This token may not list repositories. Name one by its address instead.")
        return answer(
            {
                "next": _address(request, wanted["q"], page.next_cursor),
                "previous": None,
                "results": [repository_body(repository) for repository in page.repositories],
            }
        )


def _address(request: Request, query: str, cursor: str) -> str | None:
    """Where the list goes on: this address, with the cursor and nothing else that came with it."""
    if not cursor:
        return None
    kept = {"q": query, "cursor": cursor} if query else {"cursor": cursor}
    return f"{request.build_absolute_uri(request.path)}?{urlencode(kept)}"

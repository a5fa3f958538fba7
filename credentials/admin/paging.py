"""Pages over tables that only grow, without counting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

# Rows a list can be paged through. Counting and skipping this many costs milliseconds, whatever the
# table holds; whoever needs to look further back narrows the list by a filter or a search.
REACH = 5_000


class CappedPaginator(Paginator[Any]):
    """Pages through the first ``REACH`` rows of a list and never counts beyond them."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return rows.order_by().values("pk")[:REACH].count()

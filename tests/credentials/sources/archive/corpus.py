"""All crafted archives, each with what becomes of it: the paths that are taken, or why it is refused."""

from __future__ import annotations

from tests.credentials.sources.archive.case import LIMITS, Case
from tests.credentials.sources.archive.corpus_lies import FRAME, PACKING, SIZES
from tests.credentials.sources.archive.corpus_names import LEFT_OUT, NAMES, ORDINARY

CORPUS = (*ORDINARY, *NAMES, *LEFT_OUT, *PACKING, *SIZES, *FRAME)

__all__ = ["CORPUS", "LIMITS", "Case"]

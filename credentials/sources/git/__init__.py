"""The only place that runs git: one invocation, and what is asked with it."""

from __future__ import annotations

from credentials.sources.git.invocation import HELPER, Remote
from credentials.sources.git.remote_refs import MAXIMUM_REFS, RemoteRefs, ls_remote

__all__ = ["HELPER", "MAXIMUM_REFS", "Remote", "RemoteRefs", "ls_remote"]

"""The only place that runs git: one invocation, and what is asked with it.

``fetch`` and ``folders`` are modules: ``fetch.fetch(…)`` brings content, ``folders.folders(…)`` only names.
"""

from __future__ import annotations

from credentials.sources.git import fetch, folders
from credentials.sources.git.content import GitContent
from credentials.sources.git.invocation import HELPER, Remote
from credentials.sources.git.remote_refs import MAXIMUM_REFS, RemoteRefs, ls_remote

__all__ = ["HELPER", "MAXIMUM_REFS", "GitContent", "Remote", "RemoteRefs", "fetch", "folders", "ls_remote"]

"""What an error report would show of an exception raised in Forgekey's own code."""

from __future__ import annotations

import inspect
from pathlib import Path

import credentials

ROOT = str(Path(inspect.getfile(credentials)).parent)


def shown_by(error: BaseException) -> str:
    """Message, attributes and every local variable of every frame, over the whole chain of causes."""
    shown: list[str] = []
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is None:
            continue
        pending += [link.__cause__, link.__context__]
        shown += [repr(link), repr(vars(link)), repr(getattr(link, "object", ""))]
        step = link.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename.startswith(ROOT):
                shown += [f"{name}={value!r}" for name, value in step.tb_frame.f_locals.items()]
            step = step.tb_next
    return "\n".join(shown)

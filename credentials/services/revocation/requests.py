from typing import Any


def of_envelopes(credential: Any, **kw: Any) -> Any: ...

"""Limits of a single process, set by itself before user code (`setrlimit(2)`).

Standard library only, and little of it: also loaded by an interpreter executed for one stage.
"""

import resource
from collections.abc import Iterable

ProcessLimit = tuple[int, int, int]
"""A resource of setrlimit(2), its soft and its hard limit."""


def apply_limits(limits: Iterable[ProcessLimit]) -> None:
    """Limit the calling process, without ever asking for more than it may have."""
    for which, soft, hard in limits:
        _, allowed = resource.getrlimit(which)
        if allowed != resource.RLIM_INFINITY and allowed < hard:
            resource.setrlimit(which, (min(soft, allowed), allowed))
        else:
            resource.setrlimit(which, (soft, hard))

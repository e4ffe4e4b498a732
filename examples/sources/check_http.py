"""Asks one service whether it is well; anything but a 2xx answer in time is a failure."""

import time
import urllib.request


def execute(request):
    started = time.monotonic()
    with urllib.request.urlopen(request["url"], timeout=request["timeout_seconds"]) as answer:
        status = answer.status
    return {
        "check": request["check"],
        "healthy": True,
        "detail": f"HTTP {status} in {(time.monotonic() - started) * 1000:.0f} ms",
    }

"""What systemd is told: ready, reloading, stopping, alive (sd_notify(3)).

Without `NOTIFY_SOCKET` every call does nothing. The variable is taken out of the environment,
so that no child can speak in the service's name.
"""

import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """The service's line to systemd, or to nobody."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = _watchdog_seconds(environ)

    def ready(self, status: str) -> None:
        """The service has started, or finished reloading."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again (Type=notify-reload needs the instant)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is ending by itself."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop still turns; systemd restarts the service when this stays out."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(1)
                line.sendto(text.encode(), self._address)
        except OSError:
            # systemd going away must not take the service with it
            return


def _watchdog_seconds(environ: MutableMapping[str, str]) -> float | None:
    """Half of the watchdog's time, when systemd asked this very process to keep it."""
    period, owner = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not period.isdigit() or int(period) == 0 or (owner and owner != str(os.getpid())):
        return None
    return int(period) / 1_000_000 / 2

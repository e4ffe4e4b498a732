"""Who is called next: one line a receiver, free places go round among the receivers."""

from collections import deque
from collections.abc import Callable


class Line:
    """The deliveries that are due; `begin(delivery id, receiver)` starts a call of one.

    At most `at_once` calls at a time, `per_receiver` to one receiver; whoever ends one says so.
    """

    def __init__(self, at_once: int, per_receiver: int, begin: Callable[[int, str], None]) -> None:
        self._at_once = at_once
        self._per_receiver = per_receiver
        self._begin = begin
        self._queues: dict[str, deque[int]] = {}
        self._calls: dict[str, int] = {}
        self._turns: deque[str] = deque()
        self._under_way = 0

    def add(self, delivery_id: int, receiver: str) -> None:
        """A delivery to this receiver is due."""
        queue = self._queues.setdefault(receiver, deque())
        queue.append(delivery_id)
        if len(queue) == 1:
            self._turns.append(receiver)
        self._launch()

    def ended(self, receiver: str) -> None:
        """A call to this receiver is over."""
        self._under_way -= 1
        self._calls[receiver] -= 1
        if not self._calls[receiver]:
            del self._calls[receiver]
        self._launch()

    def _launch(self) -> None:
        """Fill the free places, one call a receiver and turn."""
        passed = 0
        while self._under_way < self._at_once and passed < len(self._turns):
            receiver = self._turns.popleft()
            calls = self._calls.get(receiver, 0)
            if calls >= self._per_receiver:
                self._turns.append(receiver)
                passed += 1
                continue
            passed = 0
            queue = self._queues[receiver]
            self._calls[receiver] = calls + 1
            self._under_way += 1
            self._begin(queue.popleft(), receiver)
            if queue:
                self._turns.append(receiver)
            else:
                del self._queues[receiver]

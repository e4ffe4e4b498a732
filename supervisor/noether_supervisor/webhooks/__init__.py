"""Telling others how a run ended: what is said, to whom it is owed, and the one HTTP client.

- `payload`: body and headers of a call (`scheduler.md` §5.1); `signature`: what proves the sender
- `target`: what may be shown of a URL; `addresses`: where no call may go
- `terms`: how a delivery is made, as the configuration says when it is made
- `attempts`: what becomes of a delivery after an attempt: delivered, tried again, given up
- `outbox`: every owed delivery is sent, a slow receiver delays nobody else
- `delivery`: one call over HTTP, by the `route` that was looked up; loads httpx when the first
  call is made
"""

"""The signature of a call, as Standard Webhooks has it: proof of the sender, the time, the body.

`webhook-signature: v1,<base64>` of the HMAC-SHA256 over `id.timestamp.body`, with the key that
`config.signing_key` makes of the secret. A receiver checks it over the raw body.
"""

import base64
import hmac
from collections.abc import Mapping

from noether_supervisor.config import signing_key


def signature_headers(secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The header that signs a call with these `headers` of `payload.headers_of`.

    Raises `ValueError`, without the secret, when the secret is no key.
    """
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(signing_key(secret), signed, "sha256")
    return {"webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}"}

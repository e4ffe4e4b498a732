"""The signature of Standard Webhooks, checked as a receiver does it."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_supervisor.config import signing_key
from noether_supervisor.webhooks.signature import signature_headers

HEADERS = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}


def test_the_example_of_the_standard() -> None:
    """The one that the libraries of Standard Webhooks are tested with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert signature_headers(secret, HEADERS, b'{"test": 2432232314}') == {
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    }


@given(st.text(min_size=1).filter(lambda text: not text.startswith("whsec_")), st.binary())
def test_a_text_without_the_prefix_is_the_key_itself(secret: str, body: bytes) -> None:
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    assert signature_headers(secret, HEADERS, body) == {"webhook-signature": expected}


@given(st.binary(min_size=1, max_size=64), st.booleans())
def test_after_the_prefix_stands_base64_padded_or_not(key: bytes, padded: bool) -> None:
    encoded = base64.b64encode(key).decode()
    assert signing_key(f"whsec_{encoded if padded else encoded.rstrip('=')}") == key


@pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_no base64!", "whsec_ä", "whsec_A"])
def test_a_prefix_without_base64_is_an_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(ValueError, match="expected base64") as caught:
        signing_key(secret)
    assert str(caught.value) == "expected base64 after 'whsec_' of a webhook's secret"

"""How a webhook call gets to its receiver, and only there: names, addresses, TLS, proxies."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from history_samples import fire, owed
from noether_supervisor.clock import SystemClock
from noether_supervisor.config import WebhookSettings
from noether_supervisor.records import Delivery
from noether_supervisor.webhooks.attempts import Answered, Unanswered
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.terms import Terms
from receivers import Receiver, receiver

BODY = b'{"job":"digest","ok":true}'
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def send(url: str, environ: dict[str, str] | None = None, **members: Any) -> Answered | Unanswered:
    webhook = WebhookSettings.model_validate({"url": url, **members})
    terms = Terms(url, 30, headers=webhook.headers, secret=webhook.secret)

    async def scenario() -> Answered | Unanswered:
        sender = HttpSender(SystemClock(), environ or {})
        try:
            return await sender.send(Delivery(1, owed(fire(), url, BODY)), terms)
        finally:
            await sender.close()

    return asyncio.run(scenario())


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets `hooks.test` have addresses, each look-up the next of those given; what was asked."""
    real = socket.getaddrinfo

    def install(*answers: tuple[str, ...]) -> list[str]:
        asked: list[str] = []

        def resolver(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
            if host not in ("hooks.test", b"hooks.test"):
                return real(host, port, *rest, **options)
            asked.append("hooks.test")
            found = answers[min(len(asked), len(answers)) - 1]
            return [row for each in found for row in real(each, port, 0, socket.SOCK_STREAM)]

        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        return asked

    return install


# --- what goes along ------------------------------------------------------------------------------


def signature_of(it: Receiver) -> tuple[str, str]:
    """The signature that arrived, and the one that a receiver works out."""
    call = it.next_call()
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(KEY, signed + call.body, hashlib.sha256).digest()
    return call.headers["webhook-signature"], f"v1,{base64.b64encode(digest).decode()}"


def test_a_signed_call_proves_its_sender(tmp_path: Path) -> None:
    secret = f"whsec_{base64.b64encode(KEY).decode()}"
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    with receiver() as it:
        for form in (secret, {"env": "KEY"}, {"file": str(file)}):
            assert send(it.url, {"KEY": secret}, secret=form) == Answered(200)
            arrived, expected = signature_of(it)
            assert arrived == expected


def test_without_a_secret_there_is_no_signature() -> None:
    with receiver() as it:
        send(it.url)
        assert "webhook-signature" not in it.next_call().headers


@pytest.mark.parametrize("secret", [{"env": "MISSING"}, {"file": "/nowhere/secret"}])
def test_what_cannot_be_signed_is_not_sent_and_may_be_tried_again(secret: Any) -> None:
    with receiver() as it:
        outcome = send(it.url, secret=secret)
        assert it.calls.empty()
    assert isinstance(outcome, Unanswered)
    assert not outcome.is_final
    assert "was not called: " in outcome.problem


def test_a_secret_that_is_no_key_is_not_shown() -> None:
    with receiver() as it:
        outcome = send(it.url, {"KEY": "whsec_hunter2!"}, secret={"env": "KEY"})
        assert it.calls.empty()
    assert isinstance(outcome, Unanswered)
    assert "expected base64" in outcome.problem
    assert "hunter2" not in outcome.problem


def test_headers_go_along_beside_ours() -> None:
    with receiver() as it:
        send(it.url, headers={"X-Team": "ops", "Authorization": "Bearer hunter2"})
        headers = it.next_call().headers
    assert (headers["X-Team"], headers["Authorization"]) == ("ops", "Bearer hunter2")
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"].startswith("msg_")


@pytest.mark.parametrize("text", ["7", "Wed, 01 Jan 2020 00:00:00 GMT", "soon"])
def test_what_the_receiver_asks_for_is_heard(text: str) -> None:
    with receiver(status=503, headers={"Retry-After": text}) as it:
        outcome = send(it.url)
    assert isinstance(outcome, Answered)
    assert outcome.retry_after_seconds == {"7": 7.0, "soon": None}.get(text, 0.0)


# --- where it goes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "me:hunter2@100.100.100.200",
        "①⑥⑨.254.169.254",
    ],
)
def test_metadata_and_link_local_addresses_are_never_called(host: str) -> None:
    outcome = send(f"http://{host}/hunter2")
    assert isinstance(outcome, Unanswered)
    assert "was not called" in outcome.problem
    assert outcome.is_final
    assert "hunter2" not in outcome.problem


def test_a_name_is_judged_by_its_address(names: Callable[..., list[str]]) -> None:
    names(("169.254.169.254",))
    outcome = send("http://hooks.test/")
    assert isinstance(outcome, Unanswered)
    assert outcome.is_final
    assert "hooks.test: 169.254.169.254 is a link-local address" in outcome.problem


def test_a_name_that_means_something_else_a_moment_later_leads_nowhere_else(
    names: Callable[..., list[str]],
) -> None:
    asked = names(("127.0.0.1",), ("169.254.169.254",))
    with receiver() as it:
        port = port_of(it.url)
        assert send(f"http://hooks.test:{port}/hook?x=1") == Answered(200)
        call = it.next_call()
    assert asked == ["hooks.test"]
    assert call.headers["Host"] == f"hooks.test:{port}"
    assert call.path == "/hook?x=1"


def test_an_address_that_refuses_is_followed_by_the_next(
    names: Callable[..., list[str]],
) -> None:
    names(("127.0.0.2", "127.0.0.1"))
    with receiver() as it:
        assert send(f"http://hooks.test:{port_of(it.url)}/hook") == Answered(200)
        assert it.calls.qsize() == 1


def test_a_name_without_an_address_is_a_failure_of_that_attempt() -> None:
    outcome = send("http://nowhere.invalid/hunter2")
    assert isinstance(outcome, Unanswered)
    assert not outcome.is_final
    assert "hunter2" not in outcome.problem


# --- TLS ------------------------------------------------------------------------------------------


def certificate(folder: Path, *subjects: x509.GeneralName) -> Path:
    """A certificate for these subjects that vouches for itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def tls_with(path: Path) -> Callable[[socket.socket], socket.socket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return lambda listener: context.wrap_socket(
        listener, server_side=True, do_handshake_on_connect=False
    )


def test_the_certificate_has_to_be_that_of_the_name(
    tmp_path: Path, names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, x509.DNSName("hooks.test"))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    names(("127.0.0.1",))
    with receiver(wrapped=tls_with(path)) as it:
        port = port_of(it.url)
        assert send(f"https://hooks.test:{port}/hook") == Answered(200)
        assert it.next_call().headers["Host"] == f"hooks.test:{port}"
        outcome = send(f"https://127.0.0.1:{port}/hook")
        assert isinstance(outcome, Unanswered)
        assert "certificate" in outcome.problem
        assert it.calls.empty()


def test_the_certificate_of_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with receiver(wrapped=tls_with(path)) as it:
        assert send(f"https://127.0.0.1:{port_of(it.url)}/hook") == Answered(200)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    path = certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with receiver(wrapped=tls_with(path)) as it:
        assert isinstance(send(f"https://127.0.0.1:{port_of(it.url)}/hook"), Unanswered)
        assert it.calls.empty()


# --- proxies --------------------------------------------------------------------------------------


def test_a_proxy_of_the_service_carries_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as it:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port_of(proxy.url)}")
        assert send("http://hooks.test/hook") == Answered(200)
        call = proxy.next_call()
        assert (call.path, call.headers["Host"]) == ("http://hooks.test/hook", "hooks.test")
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        assert send(it.url) == Answered(200)
        assert it.next_call().path == "/hook"
        assert proxy.calls.empty()


def test_a_proxy_is_no_way_to_a_metadata_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port_of(proxy.url)}")
        for host in ("169.254.169.254", "2852039166", "metadata.google.internal"):
            outcome = send(f"http://{host}/")
            assert isinstance(outcome, Unanswered)
            assert outcome.is_final
        assert proxy.calls.empty()

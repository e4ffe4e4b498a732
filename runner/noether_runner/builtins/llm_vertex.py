"""Google's Vertex AI as a provider, and the access tokens it takes (`stdlib.md` §11.0)."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from noether_contract.json_values import JsonTextError, JsonValue, compact_json, parse_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.llm_chat import (
    ChatRequest,
    ProviderError,
    bearer,
    chat_body,
    post_json,
    text_at,
)

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret
_METADATA_URL = (
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
)
_METADATA_SECONDS = 0.5
_TOKEN_SECONDS = 30.0
_MISTRAL_LOCATION: Final = "europe-west4"

Token = Callable[[], str]
"""Gives an access token; raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """One project at one location. `host` replaces the service's own, scheme included."""

    project: str
    location: str
    token: Token
    model: str
    host: str | None = None

    def complete(self, request: ChatRequest) -> str:
        """See `ChatProvider`."""
        headers = bearer(self.token())
        if any(maker in request.model for maker in ("mistral", "codestral")):
            location = self.location
            if location in ("", "global"):
                location = _MISTRAL_LOCATION
            url = self.url("mistralai", request.model, "rawPredict", location)
            answer = post_json(url, headers, chat_body(request))
            return text_at(answer, "choices", 0, "message", "content")
        url = self.url("google", request.model, "generateContent", self.location)
        answer = post_json(url, headers, _gemini_body(request))
        return text_at(answer, "candidates", 0, "content", "parts", 0, "text")

    def url(self, publisher: str, model: str, method: str, location: str) -> str:
        """The address of one method of a model."""
        place = "" if location == "global" else f"{location}-"
        host = self.host or f"https://{place}aiplatform.googleapis.com"
        return (
            f"{host}/v1/projects/{self.project}/locations/{location}"
            f"/publishers/{publisher}/models/{model}:{method}"
        )


def _gemini_body(request: ChatRequest) -> dict[str, JsonValue]:
    turns: list[JsonValue] = [
        {
            "role": "model" if message.role == "assistant" else "user",
            "parts": [{"text": message.content}],
        }
        for message in request.messages
        if message.role != "system"
    ]
    system = [message.content for message in request.messages if message.role == "system"]
    body: dict[str, JsonValue] = {
        "contents": turns,
        "generationConfig": {
            "maxOutputTokens": request.max_tokens,
            "temperature": request.temperature,
        },
    }
    if system:
        body["systemInstruction"] = {"parts": [{"text": "\n".join(system)}]}
    return body


def access_token(environment: Mapping[str, str]) -> str:
    """The first token that can be had, in the order of the specification."""
    tried: list[str] = []
    for source in _sources(environment):
        try:
            return source()
        except ProviderError as error:
            tried.append(str(error))
    raise ProviderError(f"LLM provider error: no access token for Vertex AI: {'; '.join(tried)}")


def _sources(environment: Mapping[str, str]) -> Iterator[Token]:
    if token := environment.get("VERTEX_AI_TOKEN"):
        yield lambda: token
    if named := environment.get("GOOGLE_APPLICATION_CREDENTIALS"):
        yield lambda: _from_file(Path(named))
    if home := environment.get("HOME"):
        usual = Path(home, ".config", "gcloud", "application_default_credentials.json")
        if usual.is_file():
            yield lambda: _from_file(usual)
    yield _from_metadata
    yield lambda: _from_gcloud(environment)


def _from_file(path: Path) -> str:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, JsonTextError) as error:
        raise ProviderError(f"{path} cannot be read: {error}") from None
    record = content if isinstance(content, dict) else {}
    texts = {name: text for name, text in record.items() if isinstance(text, str)}
    match texts.get("type"):
        case "authorized_user":
            wanted = ("client_id", "client_secret", "refresh_token")
            form = {name: texts.get(name, "") for name in wanted}
            return _exchanged({"grant_type": "refresh_token", **form}, _TOKEN_URL)
        case "service_account":
            url = texts.get("token_uri", _TOKEN_URL)
            grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            return _exchanged({"grant_type": grant, "assertion": _assertion(texts, url)}, url)
        case kind:
            raise ProviderError(f"{path} holds credentials of a kind that is not known: {kind}")


def _assertion(account: Mapping[str, str], audience: str) -> str:
    """A signed request for a token (RFC 7523)."""
    from base64 import urlsafe_b64encode

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    now = int(time.time())
    claims: JsonValue = {
        "iss": account.get("client_email", ""),
        "scope": _SCOPE,
        "aud": audience,
        "iat": now,
        "exp": now + 3600,
    }
    parts = [compact_json({"alg": "RS256", "typ": "JWT"}), compact_json(claims)]
    signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    try:
        key = load_pem_private_key(account.get("private_key", "").encode(), None)
    except ValueError as error:
        raise ProviderError(f"the private key of the service account: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ProviderError("the private key of the service account is no RSA key")
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode("ascii")


def _exchanged(form: Mapping[str, str], url: str) -> str:
    from noether_runner.builtins.http_exchange import ExchangeError, Request, exchange

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = Request("POST", url, headers, urlencode(form).encode("ascii"), any_host=True)
    try:
        answer = exchange(request, seconds=_TOKEN_SECONDS)
    except ExchangeError as error:
        raise ProviderError(f"{url}: {error}") from None
    return _token_in(answer.body, url)


def _from_metadata() -> str:
    from noether_runner.builtins.http_exchange import ExchangeError, Request, exchange

    request = Request("GET", _METADATA_URL, {"Metadata-Flavor": "Google"}, any_host=True)
    try:
        answer = exchange(request, seconds=_METADATA_SECONDS)
    except ExchangeError as error:
        raise ProviderError(f"metadata server: {error}") from None
    return _token_in(answer.body, "metadata server")


def _token_in(body: bytes, source: str) -> str:
    try:
        return text_at(parse_json(body), "access_token")
    except (JsonTextError, ProviderError):
        raise ProviderError(f"{source} gave no access token") from None


def _from_gcloud(environment: Mapping[str, str]) -> str:
    program = shutil.which("gcloud", path=environment.get("PATH"))
    if program is None:
        raise ProviderError("gcloud is not installed")
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed command
            [program, "auth", "print-access-token"],
            capture_output=True,
            text=True,
            timeout=_TOKEN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProviderError(f"gcloud: {error}") from None
    if ended.returncode != 0 or not ended.stdout.strip():
        raise ProviderError(f"gcloud gave no token (exit status {ended.returncode})")
    return ended.stdout.strip()

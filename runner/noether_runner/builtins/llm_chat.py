"""Language models behind HTTP, in the formats of their makers (`stdlib.md` §11.0).

Each provider knows its endpoint, its headers and where the text stands in an answer; nothing
here knows how one is chosen (`llm_choice.py`) or what a stage asks (`llm.py`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, Protocol

from noether_contract.json_values import JsonTextError, JsonValue, compact_json, parse_json
from noether_contract.lean_dataclass import dataclass

SECONDS: Final = 120.0
CONNECT_SECONDS: Final = 15.0
_SHOWN_CHARACTERS = 1000

Role = Literal["system", "user", "assistant"]


class ProviderError(Exception):
    """A provider did not answer as it should; the text begins with the kind of trouble."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What to ask, of which model."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float


class ChatProvider(Protocol):
    """A service that completes conversations."""

    @property
    def model(self) -> str:
        """The model that is asked when the input names none."""

    def complete(self, request: ChatRequest) -> str:
        """The model's reply, verbatim; raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class ChatCompletions:
    """The format of OpenAI, which Mistral speaks as well: `<base>/chat/completions`.

    `maker` may stand before the names of models, and is not sent.
    """

    base: str
    key: str
    model: str
    maker: str = ""

    def complete(self, request: ChatRequest) -> str:
        """See `ChatProvider`."""
        url = f"{self.base.rstrip('/')}/chat/completions"
        asked = replace(request, model=request.model.removeprefix(self.maker))
        answer = post_json(url, bearer(self.key), chat_body(asked))
        return text_at(answer, "choices", 0, "message", "content")


@dataclass(frozen=True, slots=True)
class Anthropic:
    """The format of Anthropic: system texts apart, the version in a header."""

    base: str
    key: str
    model: str

    def complete(self, request: ChatRequest) -> str:
        """See `ChatProvider`."""
        system = [each.content for each in request.messages if each.role == "system"]
        body: dict[str, JsonValue] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "messages": [_turn(each) for each in request.messages if each.role != "system"],
        }
        if system:
            body["system"] = "\n".join(system)
        headers = {"x-api-key": self.key, "anthropic-version": "2023-06-01"}
        answer = post_json(f"{self.base.rstrip('/')}/messages", headers, body)
        return text_at(answer, "content", 0, "text")


@dataclass(frozen=True, slots=True)
class Mock:
    """Answers `{}` whatever is asked: for graphs that are tried without a provider."""

    model: str = "mock"

    def complete(self, request: ChatRequest) -> str:
        """See `ChatProvider`."""
        del request
        return "{}"


def chat_body(request: ChatRequest) -> dict[str, JsonValue]:
    """A request in the format of chat completions."""
    return {
        "model": request.model,
        "messages": [_turn(each) for each in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stream": False,
    }


def _turn(message: Message) -> dict[str, JsonValue]:
    return {"role": message.role, "content": message.content}


def bearer(token: str) -> dict[str, str]:
    """The header that carries a key or token."""
    return {"Authorization": f"Bearer {token}"}


def post_json(
    url: str,
    headers: Mapping[str, str],
    body: JsonValue,
    *,
    seconds: float = SECONDS,
) -> JsonValue:
    """The JSON that a service answers to JSON; raises `ProviderError`."""
    from noether_runner.builtins.http_exchange import ExchangeError, Request, exchange

    request = Request(
        "POST",
        url,
        {"Accept": "application/json", "Content-Type": "application/json", **headers},
        compact_json(body),
        any_host=True,
    )
    try:
        answer = exchange(request, seconds=seconds, connect_seconds=CONNECT_SECONDS)
    except ExchangeError as error:
        raise ProviderError(f"HTTP error: {error}") from None
    if not 200 <= answer.status < 300:
        shown = answer.text[:_SHOWN_CHARACTERS]
        raise ProviderError(f"LLM provider error: status {answer.status}: {shown}")
    try:
        return parse_json(answer.body)
    except JsonTextError as error:
        raise ProviderError(f"response parse error: {error}") from None


def found_at(answer: JsonValue, *path: str | int) -> JsonValue:
    """What stands at a place of an answer; raises `ProviderError`."""
    current = answer
    for step in path:
        match current, step:
            case dict(), str() if step in current:
                current = current[step]
            case list(), int() if step < len(current):
                current = current[step]
            case _:
                place = ".".join(map(str, path))
                raise ProviderError(f"response parse error: the answer has nothing at {place}")
    return current


def text_at(answer: JsonValue, *path: str | int) -> str:
    """The text at a place of an answer; raises `ProviderError`."""
    text = found_at(answer, *path)
    if not isinstance(text, str):
        place = ".".join(map(str, path))
        raise ProviderError(f"response parse error: expected text at {place} of the answer")
    return text

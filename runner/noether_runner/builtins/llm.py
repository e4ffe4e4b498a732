"""Standard stages that ask language models (`stdlib.md` §11.1); each in a process of its own."""

import re
from typing import Final

import orjson

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, Place, Recall
from noether_runner.builtins.fields import (
    WHITE_SPACE,
    json_text,
    number_of,
    optional_text,
    record_of,
    whole_number,
)
from noether_runner.builtins.llm_chat import ChatProvider, ChatRequest, Message, ProviderError
from noether_runner.builtins.llm_choice import chat_provider, embedding_provider
from noether_runner.builtins.llm_seats import Seat

_MAX_TOKENS = 8192
_TEMPERATURE = 0.2
_CLASSIFY_TOKENS = 64
_EXTRACT_TOKENS = 512
_BLANKS = re.compile(f"[{WHITE_SPACE}]+")

_CLASSIFY = (
    "You sort texts into categories. Answer with one JSON object and nothing else: "
    '{"category": one of the categories exactly as written, "confidence": a number from 0 to 1}.'
)
_EXTRACT = (
    "You pull structured data out of texts. Answer with one JSON object that follows the given "
    "schema, and nothing else. Leave out what the text does not say."
)


def llm_complete(value: JsonValue, context: Context) -> JsonValue:
    """The model's reply, verbatim; `tokens_used` counts its words."""
    record = record_of(value)
    provider = chat_provider(context.environment)
    if isinstance(provider, Seat):
        for name in ("max_tokens", "temperature"):
            if record.get(name) is not None:
                context.warn(f"llm_complete: {provider.model} has no say in {name}; left out")
    temperature = number_of(record.get("temperature"))
    system = record.get("system")
    messages = [Message("system", system)] if isinstance(system, str) else []
    messages.append(Message("user", optional_text(record, "prompt", "")))
    request = ChatRequest(
        _model(record, provider),
        tuple(messages),
        whole_number(record, "max_tokens", _MAX_TOKENS),
        _TEMPERATURE if temperature is None else temperature,
    )
    reply = _asked(provider, request)
    words = [word for word in _BLANKS.split(reply) if word]
    return {
        "text": reply,
        "tokens_used": len(words),
        "model": request.model,
        "from_llm_cache": False,
    }


def _question(value: JsonValue) -> str:
    """What makes two calls of `llm_complete` the same: everything that reaches the model."""
    record = record_of(value)
    names = ("model", "system", "prompt", "temperature", "max_tokens")
    return json_text([record.get(name) for name in names])


def _remembered(output: JsonValue) -> JsonValue:
    return {**record_of(output), "from_llm_cache": True}


def llm_classify(value: JsonValue, context: Context) -> JsonValue:
    """The one of the categories that the model names, and how sure it is."""
    record = record_of(value)
    provider = chat_provider(context.environment)
    given = record.get("categories")
    categories = (
        [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    )
    if not categories:
        raise BuiltinError("categories list is empty")
    text = optional_text(record, "text", "")
    prompt = f"Categories: {json_text(list(categories))}\n\nText:\n{text}"
    request = _short_request(_model(record, provider), _CLASSIFY, prompt, _CLASSIFY_TOKENS)
    answer = _object_in(_asked(provider, request), "classification")
    category = optional_text(answer, "category", "").strip(WHITE_SPACE)
    if category not in categories:
        raise BuiltinError(
            f"LLM returned unknown category {json_text(category)}; "
            f"expected one of: {', '.join(categories)}"
        )
    confidence = number_of(answer.get("confidence"))
    return {
        "category": category,
        "confidence": 1.0 if confidence is None else confidence,
        "model": request.model,
    }


def llm_extract(value: JsonValue, context: Context) -> JsonValue:
    """The JSON object that the model finds in a text; it is not checked against the schema."""
    record = record_of(value)
    provider = chat_provider(context.environment)
    schema = orjson.dumps(record.get("schema", {}), option=orjson.OPT_INDENT_2).decode("utf-8")
    text = optional_text(record, "text", "")
    prompt = f"Schema:\n{schema}\n\nText:\n{text}"
    request = _short_request(_model(record, provider), _EXTRACT, prompt, _EXTRACT_TOKENS)
    extracted = _object_in(_asked(provider, request), "extraction")
    return {"extracted": extracted, "model": request.model}


def llm_embed(value: JsonValue, context: Context) -> JsonValue:
    """The vector of a text."""
    record = record_of(value)
    provider = embedding_provider(context.environment)
    model = optional_text(record, "model", provider.model)
    try:
        vector = provider.embed(optional_text(record, "text", ""), model)
    except ProviderError as error:
        raise BuiltinError(f"embedding provider error: {error}") from None
    return {"embedding": list(vector), "dimensions": len(vector), "model": model}


def _model(record: dict[str, JsonValue], provider: ChatProvider) -> str:
    return optional_text(record, "model", provider.model)


def _short_request(model: str, task: str, prompt: str, max_tokens: int) -> ChatRequest:
    """A question with one right answer: no variation wanted."""
    return ChatRequest(model, (Message("system", task), Message("user", prompt)), max_tokens, 0.0)


def _asked(provider: ChatProvider, request: ChatRequest) -> str:
    try:
        return provider.complete(request)
    except ProviderError as error:
        raise BuiltinError(f"LLM error: {error}") from None


def _object_in(reply: str, what: str) -> dict[str, JsonValue]:
    """The JSON object between the first and the last brace: models like to add words."""
    first, last = reply.find("{"), reply.rfind("}")
    try:
        found = parse_json(reply[first : last + 1]) if 0 <= first < last else None
    except JsonTextError:
        found = None
    if not isinstance(found, dict):
        raise BuiltinError(f"could not parse {what} JSON from: {json_text(reply)}")
    return found


STAGES: Final = (
    Builtin("llm_complete", llm_complete, Place.CHILD, Recall(_question, _remembered)),
    Builtin("llm_classify", llm_classify, Place.CHILD),
    Builtin("llm_extract", llm_extract, Place.CHILD),
    Builtin("llm_embed", llm_embed, Place.CHILD),
)

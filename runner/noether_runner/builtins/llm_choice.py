"""Which provider a run's environment stands for (`stdlib.md` §11.0).

The variables must be granted to the run (`env`, `pass_env`). A provider that is named but cannot
be used is an error, never a reason to take another; the mock, and programs on the command line,
are taken only by name.
"""

from collections.abc import Mapping

from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.llm_chat import Anthropic, ChatCompletions, ChatProvider, Mock
from noether_runner.builtins.llm_embedding import (
    EmbeddingProvider,
    Embeddings,
    MockEmbeddings,
    VertexEmbeddings,
)
from noether_runner.builtins.llm_seats import SEATS, seat, seats_are_ruled_out
from noether_runner.builtins.llm_vertex import Vertex, access_token

MISTRAL_BASE = "https://api.mistral.ai/v1"
OPENAI_BASE = "https://api.openai.com/v1"
ANTHROPIC_BASE = "https://api.anthropic.com/v1"

_CHAT_ORDER = ("mistral", "openai", "anthropic", "vertex")
_EMBEDDING_ORDER = ("mistral", "openai", "vertex")
_NEEDS = {
    "mistral": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "vertex": "VERTEX_AI_PROJECT or GOOGLE_CLOUD_PROJECT",
}
_HOW = "grant it to the run by `env` or `pass_env` (noether-run: --env, --pass-env)"


def chat_provider(environment: Mapping[str, str]) -> ChatProvider:
    """The provider for conversations; raises `BuiltinError` when there is none."""
    forced = environment.get("NOETHER_LLM_PROVIDER") or None
    if forced == "mock":
        return Mock()
    for name in (forced,) if forced else _CHAT_ORDER:
        found = _chat(name, environment)
        if found is not None:
            return found
    if forced is not None and forced in SEATS:
        reason = f"needs the program {SEATS[forced].name} in the PATH of the run"
        if seats_are_ruled_out(environment):
            reason = "is ruled out by NOETHER_LLM_SKIP_CLI"
        raise BuiltinError(
            f"LLM provider not configured: NOETHER_LLM_PROVIDER names {forced}, which {reason}"
        )
    raise _not_configured(
        "LLM", "NOETHER_LLM_PROVIDER", forced, _CHAT_ORDER, (*_CHAT_ORDER, *SEATS)
    )


def _chat(name: str, environment: Mapping[str, str]) -> ChatProvider | None:
    match name:
        case "mistral" if key := environment.get("MISTRAL_API_KEY"):
            model = environment.get("MISTRAL_MODEL") or "mistral-small-latest"
            return _mistral(key, model)
        case "openai" if key := environment.get("OPENAI_API_KEY"):
            base = environment.get("OPENAI_API_BASE") or OPENAI_BASE
            return ChatCompletions(base, key, environment.get("OPENAI_MODEL") or "gpt-4o-mini")
        case "anthropic" if key := environment.get("ANTHROPIC_API_KEY"):
            model = environment.get("ANTHROPIC_MODEL") or "claude-sonnet-4-20250514"
            return Anthropic(ANTHROPIC_BASE, key, model)
        case "vertex":
            return _vertex(environment, environment.get("VERTEX_AI_MODEL") or "mistral-small-2503")
        case _ if name in SEATS:
            return seat(name, environment)
        case _:
            return None


def _mistral(key: str, model: str) -> ChatProvider:
    maker = "mistralai/"
    return ChatCompletions(MISTRAL_BASE, key, model.removeprefix(maker), maker)


def embedding_provider(environment: Mapping[str, str]) -> EmbeddingProvider:
    """The provider for embeddings; raises `BuiltinError` when there is none."""
    forced = environment.get("NOETHER_EMBEDDING_PROVIDER") or None
    if forced == "mock":
        return MockEmbeddings()
    for name in (forced,) if forced else _EMBEDDING_ORDER:
        found = _embedding(name, environment)
        if found is not None:
            return found
    raise _not_configured(
        "embedding", "NOETHER_EMBEDDING_PROVIDER", forced, _EMBEDDING_ORDER, _EMBEDDING_ORDER
    )


def _embedding(name: str, environment: Mapping[str, str]) -> EmbeddingProvider | None:
    match name:
        case "mistral" if key := environment.get("MISTRAL_API_KEY"):
            model = environment.get("MISTRAL_EMBEDDING_MODEL") or "mistral-embed"
            return Embeddings(MISTRAL_BASE, key, model)
        case "openai" if key := environment.get("OPENAI_API_KEY"):
            base = environment.get("OPENAI_API_BASE") or OPENAI_BASE
            model = environment.get("OPENAI_EMBEDDING_MODEL") or "text-embedding-3-small"
            return Embeddings(base, key, model)
        case "vertex":
            model = environment.get("VERTEX_AI_EMBEDDING_MODEL") or "text-embedding-005"
            vertex = _vertex(environment, model)
            return None if vertex is None else VertexEmbeddings(vertex, _dimensions(environment))
        case _:
            return None


def _dimensions(environment: Mapping[str, str]) -> int:
    given = environment.get("VERTEX_AI_EMBEDDING_DIMENSIONS") or "256"
    if not (given.isascii() and given.isdigit()):
        raise BuiltinError(f"VERTEX_AI_EMBEDDING_DIMENSIONS must be a whole number, not {given!r}")
    return int(given)


def _vertex(environment: Mapping[str, str], model: str) -> Vertex | None:
    names = ("VERTEX_AI_PROJECT", "GOOGLE_CLOUD_PROJECT")
    project = next((environment[name] for name in names if environment.get(name)), None)
    if project is None:
        return None
    places = ("VERTEX_AI_LOCATION", "GOOGLE_CLOUD_LOCATION")
    location = next((environment[name] for name in places if environment.get(name)), "europe-west1")
    return Vertex(project, location, lambda: access_token(environment), model)


def _not_configured(
    what: str,
    variable: str,
    forced: str | None,
    order: tuple[str, ...],
    names: tuple[str, ...],
) -> BuiltinError:
    if forced is None:
        variables = ", ".join(_NEEDS[name] for name in order)
        reason = f"expected one of {variables}; {_HOW}"
    elif forced in order:
        reason = f"{variable} names {forced}, which needs {_NEEDS[forced]}; {_HOW}"
    else:
        reason = f"{variable} names {forced}; expected one of {', '.join((*names, 'mock'))}"
    return BuiltinError(f"{what} provider not configured: {reason}")

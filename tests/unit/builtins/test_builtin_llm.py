"""Language models: which provider is chosen, and what each is asked, by doubles on loopback."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builtin_calls import Caller, calling, started_children
from http_doubles import Seen, chat_model, embedding_model, json_answer, serving
from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.llm_chat import (
    Anthropic,
    ChatCompletions,
    ChatRequest,
    Message,
    Mock,
    ProviderError,
)
from noether_runner.builtins.llm_choice import chat_provider, embedding_provider
from noether_runner.builtins.llm_embedding import Embeddings, MockEmbeddings, VertexEmbeddings
from noether_runner.builtins.llm_vertex import Vertex, access_token
from noether_runner.sandbox.child import Children

ASKED = ChatRequest(
    "m",
    (Message("system", "be brief"), Message("user", "hello"), Message("assistant", "yes?")),
    7,
    0.5,
)
TURNS = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "yes?"},
]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller(children: Children) -> Iterator[Caller]:
    with calling(children) as it:
        yield it


@pytest.mark.parametrize(
    ("environment", "kind", "model"),
    [
        ({"MISTRAL_API_KEY": "k"}, ChatCompletions, "mistral-small-latest"),
        (
            {"MISTRAL_API_KEY": "k", "MISTRAL_MODEL": "mistralai/x", "OPENAI_API_KEY": "k"},
            ChatCompletions,
            "x",
        ),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, ChatCompletions, "gpt-4o-mini"),
        ({"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "k"}, Anthropic, "claude-sonnet-4-20250514"),
        ({"GOOGLE_CLOUD_PROJECT": "p"}, Vertex, "mistral-small-2503"),
        (
            {
                "NOETHER_LLM_PROVIDER": "vertex",
                "OPENAI_API_KEY": "k",
                "VERTEX_AI_PROJECT": "p",
                "VERTEX_AI_MODEL": "gemini",
            },
            Vertex,
            "gemini",
        ),
        ({"NOETHER_LLM_PROVIDER": "mock", "OPENAI_API_KEY": "k"}, Mock, "mock"),
    ],
)
def test_the_environment_chooses_the_provider(
    environment: dict[str, str], kind: type, model: str
) -> None:
    provider = chat_provider(environment)
    assert isinstance(provider, kind)
    assert provider.model == model


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "MISTRAL_API_KEY, OPENAI_API_KEY, ANTHROPIC_API_KEY"),
        ({"NOETHER_LLM_PROVIDER": "openai", "MISTRAL_API_KEY": "k"}, "needs OPENAI_API_KEY"),
        ({"NOETHER_LLM_PROVIDER": "parrot"}, "expected one of mistral"),
    ],
)
def test_without_a_usable_provider_nothing_is_asked(
    environment: dict[str, str], words: str
) -> None:
    with pytest.raises(BuiltinError) as caught:
        chat_provider(environment)
    assert caught.value.message.startswith("LLM provider not configured: ")
    assert words in caught.value.message


def test_the_environment_chooses_the_embedding_provider() -> None:
    found = embedding_provider({"MISTRAL_API_KEY": "k"})
    assert isinstance(found, Embeddings)
    assert found.model == "mistral-embed"
    found = embedding_provider({"OPENAI_API_KEY": "k", "OPENAI_EMBEDDING_MODEL": "e"})
    assert found.model == "e"
    vertex = embedding_provider({"VERTEX_AI_PROJECT": "p"})
    assert isinstance(vertex, VertexEmbeddings)
    assert (vertex.model, vertex.dimensions) == ("text-embedding-005", 256)
    assert isinstance(embedding_provider({"NOETHER_EMBEDDING_PROVIDER": "mock"}), MockEmbeddings)
    for environment in ({"ANTHROPIC_API_KEY": "k"}, {"NOETHER_EMBEDDING_PROVIDER": "anthropic"}):
        with pytest.raises(BuiltinError, match="embedding provider not configured"):
            embedding_provider(environment)
    with pytest.raises(BuiltinError, match="whole number"):
        embedding_provider({"VERTEX_AI_PROJECT": "p", "VERTEX_AI_EMBEDDING_DIMENSIONS": "many"})


def test_chat_completions() -> None:
    with serving(chat_model("reply")) as server:
        provider = ChatCompletions(f"{server.url}/v1/", "key", "m")
        assert provider.complete(ASKED) == "reply"
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == ["Bearer key"]
    assert seen.json == {
        "model": "m",
        "messages": TURNS,
        "max_tokens": 7,
        "temperature": 0.5,
        "stream": False,
    }


def test_the_maker_before_the_name_of_a_model_is_not_sent() -> None:
    with serving(chat_model("reply")) as server:
        provider = ChatCompletions(server.url, "key", "m", "mistralai/")
        provider.complete(replace(ASKED, model="mistralai/codestral"))
    assert server.seen[0].json["model"] == "codestral"


def test_anthropic() -> None:
    with serving(lambda _seen: json_answer({"content": [{"text": "reply"}]})) as server:
        assert Anthropic(server.url, "key", "m").complete(ASKED) == "reply"
    (seen,) = server.seen
    assert seen.path == "/messages"
    assert seen.headers["x-api-key"] == ["key"]
    assert seen.headers["anthropic-version"] == ["2023-06-01"]
    assert seen.json == {
        "model": "m",
        "system": "be brief",
        "messages": TURNS[1:],
        "max_tokens": 7,
        "temperature": 0.5,
    }


def test_vertex_speaks_to_gemini_and_to_mistral() -> None:
    def respond(seen: Seen) -> Any:
        if "rawPredict" in seen.path:
            return json_answer({"choices": [{"message": {"content": "from mistral"}}]})
        return json_answer({"candidates": [{"content": {"parts": [{"text": "from gemini"}]}}]})

    with serving(respond) as server:
        vertex = Vertex("p", "europe-west1", lambda: "token", "gemini-2", server.url)
        assert vertex.complete(replace(ASKED, model="gemini-2")) == "from gemini"
        assert replace(vertex, location="global").complete(replace(ASKED, model="codestral")) == (
            "from mistral"
        )
    gemini, mistral = server.seen
    assert gemini.path == (
        "/v1/projects/p/locations/europe-west1/publishers/google/models/gemini-2:generateContent"
    )
    assert gemini.headers["authorization"] == ["Bearer token"]
    assert gemini.json == {
        "contents": [
            {"role": "user", "parts": [{"text": "hello"}]},
            {"role": "model", "parts": [{"text": "yes?"}]},
        ],
        "generationConfig": {"maxOutputTokens": 7, "temperature": 0.5},
        "systemInstruction": {"parts": [{"text": "be brief"}]},
    }
    assert (
        "/locations/europe-west4/publishers/mistralai/models/codestral:rawPredict" in mistral.path
    )
    assert (
        Vertex("p", "global", lambda: "", "m")
        .url("google", "m", "predict", "global")
        .startswith("https://aiplatform.googleapis.com/v1/")
    )


def test_embeddings_are_kept_as_32_bit_numbers() -> None:
    rows = [{"index": 1, "embedding": [9]}, {"index": 0, "embedding": [0.1, 1, -0.25]}]
    with serving(lambda _seen: json_answer({"data": rows})) as server:
        vector = Embeddings(server.url, "key", "m").embed("text", "m2")
    assert vector == [0.10000000149011612, 1.0, -0.25]
    assert server.seen[0].json == {"model": "m2", "input": ["text"], "encoding_format": "float"}
    answer = {"predictions": [{"embeddings": {"values": [0.5]}}]}
    with serving(lambda _seen: json_answer(answer)) as server:
        vertex = Vertex("p", "global", lambda: "token", "m", server.url)
        assert VertexEmbeddings(vertex, 3).embed("text", "m2") == [0.5]
    assert server.seen[0].json["parameters"] == {"outputDimensionality": 3}


def test_the_mock_embeds_the_same_text_the_same_way() -> None:
    mock = MockEmbeddings()
    assert mock.embed("a", "") == mock.embed("a", "")
    assert mock.embed("a", "") != mock.embed("b", "")
    assert len(mock.embed("a", "")) == 128


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_answer({"error": "no"}, 401), "LLM provider error: status 401"),
        (json_answer({"choices": []}), "response parse error: the answer has nothing at choices.0"),
        (json_answer({"choices": [{"message": {"content": 5}}]}), "response parse error: expected"),
    ],
)
def test_what_went_wrong_begins_with_its_kind(answer: Any, words: str) -> None:
    with serving(lambda _seen: answer) as server:
        provider = ChatCompletions(server.url, "key", "m")
        with pytest.raises(ProviderError) as caught:
            provider.complete(ASKED)
    assert str(caught.value).startswith(words)
    with pytest.raises(ProviderError) as caught:
        provider.complete(ASKED)
    assert str(caught.value).startswith("HTTP error: ")


def test_a_question_is_asked_once_a_run(caller: Caller) -> None:
    with serving(chat_model("reply")) as server:
        keys = {"OPENAI_API_KEY": "k", "OPENAI_API_BASE": server.url}
        asked: list[JsonValue] = [
            {"prompt": "p"},
            {"prompt": "p"},
            {"prompt": "p", "temperature": 0.9},
            {"prompt": "p", "max_tokens": 9},
        ]
        items: JsonValue = {"items": asked, "stage_id": "llm_complete"}
        outputs = caller.output("map", items, environment=keys)
    assert isinstance(outputs, list)
    assert [output["from_llm_cache"] for output in outputs if isinstance(output, dict)] == [
        False,
        True,
        False,
        False,
    ]
    assert len(server.seen) == 3


def test_the_model_of_the_input_comes_first_and_is_the_one_reported(caller: Caller) -> None:
    with serving(chat_model('{"category": "a", "confidence": "high"}')) as server:
        keys = {
            "OPENAI_API_KEY": "k",
            "OPENAI_API_BASE": server.url,
            "OPENAI_MODEL": "of-the-environment",
        }
        asked: JsonValue = {"text": "t", "categories": ["a", 5], "model": "of-the-input"}
        output = caller.output("llm_classify", asked, environment=keys)
    assert output == {"category": "a", "confidence": 1.0, "model": "of-the-input"}
    assert server.seen[0].json["model"] == "of-the-input"
    assert server.seen[0].json["temperature"] == 0.0
    assert server.seen[0].json["max_tokens"] == 64


def test_keys_that_are_not_granted_are_not_there(caller: Caller) -> None:
    assert caller.message("llm_extract", {"text": "t"}).startswith("LLM provider not configured")
    assert caller.message("llm_embed", {"text": "t"}).startswith("embedding provider not")


def test_a_failing_embedding_service(caller: Caller) -> None:
    with serving(embedding_model(None, "boom")) as server:
        keys = {"OPENAI_API_KEY": "k", "OPENAI_API_BASE": server.url}
        message = caller.message("llm_embed", {"text": "t"}, environment=keys)
    assert message.startswith("embedding provider error: LLM provider error: status 500")


def test_tokens_of_vertex(tmp_path: Path) -> None:
    assert access_token({"VERTEX_AI_TOKEN": "granted"}) == "granted"
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with serving(lambda _seen: json_answer({"access_token": "exchanged"})) as server:
        account = tmp_path / "account.json"
        content = {
            "type": "service_account",
            "client_email": "a@b.test",
            "private_key": pem,
            "token_uri": f"{server.url}/token",
        }
        account.write_text(json.dumps(content))
        assert access_token({"GOOGLE_APPLICATION_CREDENTIALS": str(account)}) == "exchanged"
    assert server.seen[0].body.startswith(b"grant_type=urn%3Aietf")
    assert server.seen[0].body.count(b".") == 2

"""Embedding services (`stdlib.md` §11.0): text in, a vector of numbers out."""

import hashlib
import math
import struct
from typing import Final, Protocol

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.fields import number_of
from noether_runner.builtins.llm_chat import ProviderError, bearer, found_at, post_json
from noether_runner.builtins.llm_vertex import Vertex

SECONDS: Final = 30.0
_MOCK_DIMENSIONS = 128


class EmbeddingProvider(Protocol):
    """A service that embeds texts."""

    @property
    def model(self) -> str:
        """The model that is asked when the input names none."""

    def embed(self, text: str, model: str) -> list[float]:
        """The vector of a text; raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The format of OpenAI, which Mistral speaks as well: `<base>/embeddings`."""

    base: str
    key: str
    model: str

    def embed(self, text: str, model: str) -> list[float]:
        """See `EmbeddingProvider`."""
        body: JsonValue = {"model": model, "input": [text], "encoding_format": "float"}
        url = f"{self.base.rstrip('/')}/embeddings"
        answer = post_json(url, bearer(self.key), body, seconds=SECONDS)
        rows = found_at(answer, "data")
        first = [row for row in rows if _index(row) == 0] if isinstance(rows, list) else []
        return _vector(found_at(list(first), 0, "embedding"))


@dataclass(frozen=True, slots=True)
class VertexEmbeddings:
    """Embeddings of Vertex AI, cut to a number of dimensions."""

    vertex: Vertex
    dimensions: int

    @property
    def model(self) -> str:
        """See `EmbeddingProvider`."""
        return self.vertex.model

    def embed(self, text: str, model: str) -> list[float]:
        """See `EmbeddingProvider`."""
        body: JsonValue = {
            "instances": [{"content": text}],
            "parameters": {"outputDimensionality": self.dimensions},
        }
        url = self.vertex.url("google", model, "predict", self.vertex.location)
        answer = post_json(url, bearer(self.vertex.token()), body, seconds=SECONDS)
        return _vector(found_at(answer, "predictions", 0, "embeddings", "values"))


@dataclass(frozen=True, slots=True)
class MockEmbeddings:
    """A vector out of the hash of the text: the same text, the same vector, and no meaning."""

    model: str = "mock"

    def embed(self, text: str, model: str) -> list[float]:
        """See `EmbeddingProvider`."""
        del model
        digest = hashlib.shake_256(text.encode("utf-8")).digest(2 * _MOCK_DIMENSIONS)
        numbers = [float(number) for number in struct.unpack(f"<{_MOCK_DIMENSIONS}h", digest)]
        length = math.hypot(*numbers) or 1.0
        return [number / length for number in numbers]


def _index(row: JsonValue) -> JsonValue:
    return row.get("index", 0) if isinstance(row, dict) else None


def _vector(values: JsonValue) -> list[float]:
    """The components as 32-bit floats, which is what the reference keeps of them."""
    numbers = [number_of(value) for value in values] if isinstance(values, list) else []
    known = [number for number in numbers if number is not None]
    if not known or len(known) != len(numbers):
        raise ProviderError("response parse error: the embedding is no list of numbers")
    try:
        return list(struct.unpack(f"<{len(known)}f", struct.pack(f"<{len(known)}f", *known)))
    except OverflowError:
        raise ProviderError(
            "response parse error: a component of the embedding is too large"
        ) from None

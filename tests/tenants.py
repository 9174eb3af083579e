"""Two principals before the ASGI application, with a real knowledge base of arbitrary vectors behind it."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from deployments.capabilities.protocol import ChatCall, EngineInfo, ResultEvent, Source
from deployments.http.services import Services
from deployments.principals.principal import CAPABILITIES, Limits
from pipelines.chat import Delta, Usage
from pipelines.knowledge.base import Embedder
from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.library import Library
from tests.asgi import app, client
from tests.pipelines.knowledge.vectors import DIMENSION, MODEL, unit

INFO = EngineInfo("fake", "none")


class AnyVectors(Embedder):
    """Vectors that mean nothing: words find what there is."""

    dimension = DIMENSION
    max_tokens = 256

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([unit(len(text)) for text in texts])

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@dataclass
class Method:
    """A handle's method that runs in this process."""

    work: Callable[..., Any]
    deployment_name: str = "Fake"

    def options(self, **_: Any) -> Any:
        return SimpleNamespace(remote=self.work)

    async def remote(self, *args: Any) -> Any:
        return self.work(*args)


class Stream:
    """Events of a call."""

    def __init__(self, *events: Any) -> None:
        self._events = iter(events)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for event in self._events:
            return event
        raise StopAsyncIteration

    def cancel(self) -> None:
        """Nothing runs."""


def connect_knowledge(services: Services, folder: Path) -> Library:
    """Put a knowledge base, and a chat that quotes it, behind the application."""
    library = Library(AnyVectors(), KnowledgeStore.open(str(folder), model=MODEL, dimension=DIMENSION))

    def ingest(source: Source, sha256: str, owner: str, category: str) -> Stream:
        with services.store.open_reader(source.key) as file:
            record = library.of(owner).ingest(BytesIO(file.read()), source.name, source.kind, category, sha256)
        return Stream(INFO, ResultEvent(record))

    def answer(call: ChatCall) -> Stream:
        found = library.of(call.owner).search(call.category, "vault") if call.category else None
        delta = Delta("Yes.", sources=found or (), finish_reason="stop", usage=Usage(3, 2))
        return Stream(INFO, (delta,))

    knowledge = services.caller.handles.knowledge
    knowledge.ingest = Method(ingest)
    knowledge.documents = Method(lambda owner, category: library.of(owner).documents(category))
    knowledge.delete = Method(lambda owner, category, document: library.of(owner).delete(category, document))
    knowledge.stored_bytes = Method(lambda owner: library.of(owner).stored_bytes())
    knowledge.embed_counted = Method(lambda texts, dimensions: (INFO, library.embed(texts), len(texts)))
    services.caller.handles.chat.stream = Method(answer)
    return library


class Tenants:
    """The application, and a client with a key of its own for each principal.

    Attributes:
        application, services: as `tests.asgi` makes them.
        library: what is behind its documents.
    """

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.application, self.services = app(tmp_path, **settings)
        self.library = connect_knowledge(self.services, tmp_path / "library")

    def add(self, name: str, scopes: frozenset[str] = CAPABILITIES, **limits: Any) -> httpx.AsyncClient:
        """A new principal, in force at once; its client."""
        _, key = self.services.principals.add(name, scopes, Limits(**limits))
        self.services.registry.read()
        return self.client(key)

    def client(self, key: str) -> httpx.AsyncClient:
        """A client with a key."""
        http = client(self.application)
        http.headers["Authorization"] = f"Bearer {key}"
        return http


async def upload(
    http: httpx.AsyncClient, category: str, text: str, name: str = "plan.txt", **query: str
) -> httpx.Response:
    """Add a text to a category."""
    return await http.post(
        "/uploadFile/uploadLearningFile",
        params={"category": category, **query},
        files={"fileToUpload": (name, text.encode())},
    )

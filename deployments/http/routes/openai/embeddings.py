"""Embeddings, in OpenAI's shape."""

import base64

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from deployments.http import families
from deployments.http.families import CALL_ERRORS
from deployments.http.schemas.openai import Embedding, EmbeddingBody, Embeddings, EmbeddingUsage
from deployments.http.services import PrincipalDep, ServicesDep, needs

router = families.OPENAI.router("Chat", dependencies=[needs("knowledge")])


@router.post("/embeddings", responses=families.OPENAI.errors(*CALL_ERRORS))
async def embeddings(
    services: ServicesDep, principal: PrincipalDep, response: Response, body: EmbeddingBody
) -> Embeddings:
    """Texts to vectors, by the model that indexes the documents."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    embed = services.caller.handles.knowledge.embed_counted
    engine, vectors, tokens = await services.caller.ask(embed, texts, body.dimensions)
    services.usage.add(principal.name, tokens=tokens)
    encode = _base64 if body.encoding_format == "base64" else _numbers
    response.headers.update({"x-sensorium-engine": engine.engine, "x-sensorium-model": engine.model})
    return Embeddings(
        object="list",
        data=[Embedding(object="embedding", index=i, embedding=encode(vector)) for i, vector in enumerate(vectors)],
        model=engine.model,
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _base64(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _numbers(vector: NDArray[np.float32]) -> list[float]:
    return [float(number) for number in vector]

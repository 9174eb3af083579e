"""Reranking, in Jina's shape; errors in OpenAI's."""

from fastapi import Response

from deployments.http import families
from deployments.http.families import CALL_ERRORS
from deployments.http.schemas.openai import EmbeddingUsage, RerankBody, RerankDocument, Reranking, RerankResult
from deployments.http.services import PrincipalDep, ServicesDep, needs

router = families.OPENAI.router("Chat", dependencies=[needs("knowledge")])


@router.post("/rerank", responses=families.OPENAI.errors(*CALL_ERRORS), response_model_exclude_none=True)
async def rerank(services: ServicesDep, principal: PrincipalDep, response: Response, body: RerankBody) -> Reranking:
    """Order texts by how well they answer a query."""
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    engine, scores, tokens = await services.caller.ask(services.caller.handles.knowledge.rerank, body.query, texts)
    response.headers.update({"x-sensorium-engine": engine.engine, "x-sensorium-model": engine.model})
    services.usage.add(principal.name, tokens=tokens)
    best_first = sorted(range(len(texts)), key=lambda index: -scores[index])
    return Reranking(
        model=engine.model,
        results=[
            RerankResult(
                index=index,
                relevance_score=float(scores[index]),
                document=RerankDocument(text=texts[index]) if body.return_documents else None,
            )
            for index in best_first[: body.top_n]
        ],
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )

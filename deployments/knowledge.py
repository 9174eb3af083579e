"""Knowledge: documents in, passages out, and the one embedding model of the graph."""

from pipelines.knowledge.library import Library
from pydantic import TypeAdapter
from ray import serve

from deployments.capability import Capability
from pipelines import knowledge

EMBED_AT_ONCE = 256


@serve.deployment
class Knowledge(Capability[knowledge.Config, Library]):
    """Documents by category, hybrid retrieval, embeddings."""

    config = TypeAdapter(knowledge.Config)

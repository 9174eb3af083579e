"""The bare engines: what `serve_config.local.yaml` names, loaded into this process without Ray or HTTP.

Run as a program it loads them and prints the process's PSS in bytes: the counterpart of starting the graph.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import psutil
import yaml

from deployments.catalog import CATALOG
from pipelines.chat import ChatRequest, Delta, Message
from pipelines.contracts.engine import Resources
from pipelines.knowledge.library import Library
from tests.serving import ROOT


class Engines:
    """All ten, loaded as the deployments load them; `engines["chat"]` is one, `engines.library` the knowledge base."""

    def __init__(self, knowledge: Path) -> None:
        raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
        blocks = {block["name"]: block for block in raw["applications"][0]["deployments"]}
        self.blocks = {name: blocks[entry.deployment] for name, entry in CATALOG.items()}
        configs = {name: entry.parse(self.blocks[name]["user_config"]) for name, entry in CATALOG.items()}
        self.knowledge_config = configs.pop("knowledge")
        self.library = Library.open(self.knowledge_config, str(knowledge))
        resources = Resources(embed=self.library.embedder.embed)
        self._loaded: dict[str, Any] = {name: config.load(resources) for name, config in configs.items()}

    def __getitem__(self, capability: str) -> Any:
        return self._loaded[capability]

    def answer(self, library: Library, category: str, question: str) -> list[Delta]:
        """Answer a grounded question as the chat deployment does, from eight passages."""
        chat, messages = self["chat"], (Message("user", question),)

        async def deltas() -> list[Delta]:
            passages = library.search(category, await chat.rewrite_query(messages), 8)
            return [delta async for delta in chat.stream(ChatRequest(messages, passages=passages))]

        return asyncio.run(deltas())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        engines = Engines(Path(folder))
        print(psutil.Process().memory_full_info().pss)

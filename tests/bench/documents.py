"""Pages a second of a PDF of 1,000 pages (200 words each), and what a question costs among many passages, in ms.

Bare, for the ingest and the chat: the same in this process. Bare, for the search in the store: all vectors in memory,
compared one by one by numpy, without words, disk or ranking.
"""

import hashlib
import io
import re
import uuid
from pydoc_data.topics import topics

import httpx
import numpy as np

from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.library import Library
from pipelines.knowledge.parsing.chunks import Chunk
from tests.bench.setting import Bench, beside, say, seconds
from tests.pipelines.knowledge.drawn import plain_pdf

FURTHER = ("passages",)
PAGES, LINES = 1_000, 20
PASSAGES, FULL_PASSAGES, IN_A_DOCUMENT = 20_000, 100_000, 1_000
QUESTIONS = 40
CATEGORY = "many passages"
ENGLISH = np.array(
    re.findall("[A-Za-z]{2,}", " ".join(topics.values()))
)  # Python's manual: words as frequent as they are


def measure(bench: Bench) -> list[list[object]]:
    random = np.random.default_rng(1)
    return [_ingest(bench, random), *_retrieve(bench, random)]


def _text(random: np.random.Generator, lines: int, words: int = 10) -> str:
    return "\n".join(" ".join(line) + "." for line in random.choice(ENGLISH, (lines, words)))


def _ingest(bench: Bench, random: np.random.Generator) -> list[object]:
    graph, bare = [], []
    library, url = bench.engines.library, f"{bench.graph.url}/uploadFile/uploadLearningFile"

    def upload(data: bytes) -> None:
        file = {"fileToUpload": ("long.pdf", data)}
        httpx.post(url, params={"category": "long"}, files=file, timeout=3600).raise_for_status()

    def ingest(data: bytes) -> None:
        library.ingest(io.BytesIO(data), "long.pdf", "pdf", "long", hashlib.sha256(data).hexdigest())

    for _ in range(3 if bench.full else 1):
        say(f"a PDF of {PAGES:,} pages")
        pdf = plain_pdf([_text(random, LINES) for _ in range(PAGES)])
        graph.append(PAGES / seconds(upload, pdf))
        bare.append(PAGES / seconds(ingest, pdf))
    return beside("ingest, pages/s", graph, bare, f"{library.documents('long')[0].passages:,}")


def _retrieve(bench: Bench, random: np.random.Generator) -> list[list[object]]:
    count = FULL_PASSAGES if bench.full else PASSAGES
    library, store, vectors = _filled(bench, random, count)
    search, scan, chat, answer = [], [], [], []
    say(f"{QUESTIONS} questions")
    with httpx.Client(base_url=bench.graph.url, timeout=600) as client:

        def ask(question: str) -> None:
            body = {"messages": [{"role": "user", "content": question}], "category": CATEGORY}
            client.post("/v1/chat/completions", json=body).raise_for_status()

        for _ in range(QUESTIONS + 1):
            question = f"What is {_text(random, 1, words=4)[:-1]}?"
            vector = library.embedder.embed([question])[0]
            search.append(seconds(store.search, CATEGORY, question, vector) * 1000)
            scan.append(seconds(lambda vector=vector: np.argpartition(vectors @ vector, -8)) * 1000)
            chat.append(seconds(ask, question) * 1000)
            answer.append(seconds(bench.engines.answer, library, CATEGORY, question) * 1000)
    return [  # without the first question, which warms all of them
        beside("search in the store, ms", search[1:], scan[1:], f"{count:,}"),
        beside("question by /v1/chat/completions, ms", chat[1:], answer[1:], f"{count:,}"),
    ]


def _filled(bench: Bench, random: np.random.Generator, count: int) -> tuple[Library, KnowledgeStore, np.ndarray]:
    """The graph's own knowledge base, opened from here, with `count` passages in one category."""
    say(f"adding {count:,} passages")
    embedder = bench.engines.library.embedder
    place, model = str(bench.graph.data / "knowledge"), bench.engines.knowledge_config.card().model
    store = KnowledgeStore.open(place, model=model, dimension=embedder.dimension)
    vectors = random.standard_normal((count, embedder.dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for part in np.split(vectors, count // IN_A_DOCUMENT):
        chunks = [Chunk(1, _text(random, 12), position) for position in range(len(part))]
        store.add(CATEGORY, "many.txt", uuid.uuid4().hex, chunks, part, pages=1, size_bytes=1)
    store.maintain()
    return Library(embedder, store), store, vectors

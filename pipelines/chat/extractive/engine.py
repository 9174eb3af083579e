"""Chat without a language model: picks the sentences of the retrieved passages that answer, and quotes them.

No checkpoint of its own; it compares words, and sentence embeddings that the knowledge base lends. It writes no
sentence itself, cannot add up, compare or conclude, and reads English and Chinese. Not grounded in documents, it
answers from the product's own manual.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.extractive.answering import extract
from pipelines.chat.extractive.followup import stand_alone
from pipelines.chat.extractive.question import Question
from pipelines.chat.extractive.words import HAN, is_chinese
from pipelines.contracts.engine import Embed, EngineConfig, ModelCard, Resources
from pipelines.knowledge.base import Passage

T = TypeVar("T")

_SINGLE = f"{HAN}\u3040-\u30ff\uac00-\ud7af"  # Chinese, Japanese and Korean characters
_TOKEN = re.compile(rf"\s*(?:\d+(?:[.,]\d+)*|[{_SINGLE}]|[^\W\d_{_SINGLE}]{{1,40}}|\S)")

_SMALL_TALK_CHARACTERS = 100
_GREETING = re.compile(
    r"\W*(?:hello|hi|hey|greetings|good (?:morning|afternoon|evening|day)|help|who are you|what are you|"
    r"what can you do(?: for me)?|how can you help(?: me)?|你好|您好|嗨|哈喽|早上好|下午好|晚上好|你是谁|你是什么|帮助|"
    r"你(?:能|会|可以)做什么)(?:[ ,]*(?:there|sensorium|all|everyone|吗|呀|啊))*\W*",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"\W*(?:thanks?|thank you|many thanks|cheers|谢谢|多谢|感谢)(?:[ ,]*(?:a lot|so much|very much|you|你|您))*\W*",
    re.IGNORECASE,
)

# What the engine says in its own words, in English and in Chinese.
_INTRODUCTION = (
    "Hello! I am Sensorium's embedded chat engine. I have no language model: I find the sentences that answer your "
    "question in your uploaded documents (upload them under a category and send that `category` with your question), "
    "or, without a category, in Sensorium's own manual. Ask me, for example, how to upload a document.",
    "你好！我是 Sensorium 的内置问答引擎。我没有语言模型：我会在您上传的文档中找出回答问题的句子"
    "（上传时指定类别，提问时带上同一个 `category`）；不带类别时，我从 Sensorium 的使用手册中回答。"
    "例如，您可以问我怎样上传文档。",
)
_WELCOME = ("You are welcome.", "不客气。")
_NO_QUESTION = "There is no question in the conversation yet."
_DOCUMENTS_SILENT = (
    "The documents in this category do not answer this question.",
    "该类别的文档中没有这个问题的答案。",
)
_MANUAL_SILENT = (
    "I cannot answer that. I am Sensorium's embedded chat engine and have no language model: I answer only from "
    "uploaded documents (send their `category` with the question) and from Sensorium's own manual. For free "
    "conversation, choose an engine with a language model in the `user_config` of the `Chat` block of the "
    "serve configuration.",
    "这个问题我无法回答。我是 Sensorium 的内置问答引擎，没有语言模型，只能根据已上传的文档"
    "（提问时带上它们的 `category`）和 Sensorium 的使用手册来回答。"
    "如需自由对话，请在服务配置 `Chat` 块的 `user_config` 中选用带语言模型的引擎。",
)


class ExtractiveConfig(EngineConfig):
    """Quotes the sentences that answer; needs no model of its own."""

    engine: Literal["extractive"] = "extractive"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="extractive",
            license="Apache-2.0",
            description="Quotes the sentences of your documents, or of the product's manual, that answer a question, "
            "and says so when none does. English and Chinese. Not a language model: it writes nothing itself.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "Extractive":
        """Read the manuals.

        Args:
            embed: sentence embeddings; blocks, and is called from one thread of the engine's own.
        """
        return Extractive(resources.embed, (read_manual("manual.md"), read_manual("manual.zh.md")))


class Extractive(ChatModel):
    """Answers by quotation. System prompts, temperature and further options change nothing: no sentence is made up.

    Tokens, for `usage` and `max_tokens`, are words, numbers, punctuation marks and single Chinese, Japanese or Korean
    characters; a word beyond 40 letters counts once per 40. The prompt is all that was read: messages and passages.

    Args:
        embed: sentence embeddings; blocks, and is called from one thread of the engine's own.
        manuals: what answers a question that is not grounded in documents, in English and in Chinese.
    """

    def __init__(self, embed: Embed, manuals: tuple[tuple[Passage, ...], tuple[Passage, ...]]) -> None:
        self._embed = _Remembered(embed)
        self._manuals = manuals
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="extractive")

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a query that stands alone; "" where nobody asked anything."""
        return await self._run(partial(stand_alone, messages, self._embed))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer token by token, the sources with the last delta. Turns after the last question are not continued."""
        text, sources, prompt_tokens = await self._run(partial(self._answer, request))
        end = min((at for stop in request.stop if stop and (at := text.find(stop)) >= 0), default=len(text))
        pieces = tokens(text[:end])
        for piece in pieces[: request.max_tokens]:
            yield Delta(text=piece)
            await asyncio.sleep(0)  # other callers' answers go on in between
        is_cut = len(pieces) > request.max_tokens
        reason: FinishReason = "length" if is_cut else "stop"
        yield Delta(
            finish_reason=reason, usage=Usage(prompt_tokens, min(len(pieces), request.max_tokens)), sources=sources
        )

    def _answer(self, request: ChatRequest) -> tuple[str, tuple[Passage, ...], int]:
        """Answer, sources, tokens read."""
        passages = request.passages or ()
        read = sum(len(tokens(text)) for text in [*(m.content for m in request.messages), *(p.text for p in passages)])
        asked = stand_alone(request.messages, self._embed)
        language = 1 if is_chinese(asked) else 0
        if said := _small_talk(request.messages, asked, language):
            return said, (), read
        is_grounded = request.passages is not None
        found = extract(Question.read(asked), passages if is_grounded else self._manuals[language], self._embed)
        if found is None:
            return (_DOCUMENTS_SILENT if is_grounded else _MANUAL_SILENT)[language], (), read
        return found.text, found.sources if is_grounded else (), read

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _Remembered:
    """The vectors of recent texts: the manual's sentences, and those of documents asked about again."""

    _MOST = 4_000

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embed`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embed(new), strict=True))
        found = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > self._MOST:
            del self._vectors[next(iter(self._vectors))]
        return found


def tokens(text: str) -> list[str]:
    """The tokens, each with the white space before it: joined, they are the text without its trailing white space."""
    return _TOKEN.findall(text.rstrip())


def read_manual(name: str) -> tuple[Passage, ...]:
    """A manual of the product ("manual.md", "manual.zh.md"), a passage per section."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return tuple(Passage(name, None, section.strip(), 1.0) for section in re.split(r"\n(?=## )", text))


def _small_talk(messages: tuple[Message, ...], asked: str, language: int) -> str:
    """The answer to what is no question, or ""."""
    if not asked:
        return _NO_QUESTION
    last = next(message.content for message in reversed(messages) if message.role == "user")[:_SMALL_TALK_CHARACTERS]
    if _GREETING.fullmatch(last):
        return _INTRODUCTION[language]
    return _WELCOME[language] if _THANKS.fullmatch(last) else ""

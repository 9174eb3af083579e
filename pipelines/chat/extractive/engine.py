"""Chat without a language model: picks the sentences of the retrieved passages that answer, and quotes them.

No checkpoint of its own; it compares words, and sentence embeddings that the knowledge base lends. It writes no
sentence itself, cannot add up, compare or conclude, and reads English and Chinese. Without documents to answer from, it
answers from the product's own manual.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.chat.base import ChatModel, ChatRequest, Delta, Message, Usage
from pipelines.chat.extractive.followup import stand_alone
from pipelines.chat.extractive.question import Question, is_chinese
from pipelines.chat.extractive.ranking import find_answer
from pipelines.contracts.engine import Embed, EngineConfig, ModelCard, Resources
from pipelines.knowledge.base import Passage
from pipelines.text.scripts import UNSPACED

_MAX_VECTORS = 4_000
_MAX_SMALL_TALK = 100
_TOKEN = regex.compile(rf"\s*(?:\d+(?:[.,]\d+)*|[{UNSPACED}]|(?:(?![{UNSPACED}])\p{{L}}){{1,40}}|\S)")
_GREETING = regex.compile(
    r"(?i)\W*(?:hello|hi|hey|greetings|good (?:morning|afternoon|evening|day)|help|(?:who|what) are you|what can you do"
    r"|how can you help|[你您]好|嗨|[早晚]上好|下午好|你是(?:谁|什么)|帮助|你[能会]做什么)"
    r"(?:[ ,]*(?:there|sensorium|me|for me|everyone|吗|呀|啊))*\W*"
)
_THANKS = regex.compile(
    r"(?i)\W*(?:(?:many )?thank(?:s| you)|cheers|[谢多感]谢)(?:[ ,]*(?:a lot|so much|very much|[你您]))*\W*"
)

# What the engine says in its own words, in English and in Chinese.
_INTRODUCTION = (
    "I am Sensorium's embedded chat engine and have no language model: I quote the sentences that answer your question "
    "from your documents (send the `category` that they were uploaded under) or else from Sensorium's own manual. Ask "
    "me, for example, how to upload a document. For free conversation, choose an engine with a language model in the "
    "`user_config` of the `Chat` block of the serve configuration.",
    "我是 Sensorium 的内置问答引擎，没有语言模型：我从您上传的文档（提问时带上它们的 `category`）"
    "或 Sensorium 的使用手册中找出回答问题的句子。例如，您可以问我怎样上传文档。"
    "如需自由对话，请在服务配置 `Chat` 块的 `user_config` 中选用带语言模型的引擎。",
)
_HELLO = ("Hello! ", "你好！")
_WELCOME = ("You are welcome.", "不客气。")
_NO_QUESTION = "There is no question in the conversation yet."
_NO_ANSWER = ("I cannot answer that. ", "这个问题我无法回答。")
_SILENT = ("The documents in this category do not answer this question.", "该类别的文档中没有这个问题的答案。")


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
        """Read the manuals."""
        return Extractive(resources.embed, (_read_manual("manual.md"), _read_manual("manual.zh.md")))


class Extractive(ChatModel):
    """Answers by quotation. System prompts, temperature and further options change nothing: no sentence is made up.

    Tokens, for `usage` and `max_tokens`, are words, numbers, punctuation marks and single Chinese, Japanese or Korean
    characters; a word beyond 40 letters counts once per 40. The prompt is all that was read: messages and passages.

    Args:
        embed: sentence embeddings; blocks, and is called from one thread of the engine's own.
        manuals: what answers a question that is not grounded in documents, in English and in Chinese.
    """

    def __init__(self, embed: Embed, manuals: tuple[tuple[Passage, ...], tuple[Passage, ...]]) -> None:
        self._source = embed
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._manuals = manuals
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="extractive")

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question with what earlier turns say, by rules; "" if nobody asked anything."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, stand_alone, messages, self._embed)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer token by token, the sources with the last delta. Turns after the last question are not continued."""
        loop = asyncio.get_running_loop()
        text, sources, prompt_tokens = await loop.run_in_executor(self._thread, self._answer, request)
        end = min((at for stop in request.stop if stop and (at := text.find(stop)) >= 0), default=len(text))
        answer = tokens(text[:end])
        sent = answer[: request.max_tokens]
        for token in sent:
            yield Delta(text=token)
            await asyncio.sleep(0)  # other callers' answers go on in between
        yield Delta(
            finish_reason="stop" if sent == answer else "length", usage=Usage(prompt_tokens, len(sent)), sources=sources
        )

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _answer(self, request: ChatRequest) -> tuple[str, tuple[Passage, ...], int]:
        """Answer, sources, tokens read."""
        prompt = [*(turn.content for turn in request.messages), *(found.text for found in request.passages or ())]
        read = sum(len(tokens(text)) for text in prompt)
        asked = stand_alone(request.messages, self._embed)
        language = 1 if is_chinese(asked) else 0
        if reply := _small_talk(request.messages, asked, language):
            return reply, (), read
        passages = self._manuals[language] if request.passages is None else request.passages
        text, sources = find_answer(Question.read(asked), passages, self._embed)
        if request.passages is None:
            return text or _NO_ANSWER[language] + _INTRODUCTION[language], (), read
        return text or _SILENT[language], sources, read

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of recent texts are kept: the manual's sentences, documents that are asked about again."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._vectors]:
            self._vectors.update(zip(new, self._source(new), strict=True))
        found = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > _MAX_VECTORS:
            del self._vectors[next(iter(self._vectors))]
        return found


def tokens(text: str) -> list[str]:
    """The tokens, each with the white space before it: joined, they are the text without its trailing white space."""
    return _TOKEN.findall(text.rstrip())  # type: ignore[no-any-return]


def _read_manual(name: str) -> tuple[Passage, ...]:
    """A manual of the product, a passage per section."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return tuple(Passage(name, None, section.strip(), 1.0) for section in regex.split(r"\n(?=## )", text))


def _small_talk(messages: Sequence[Message], asked: str, language: int) -> str:
    """The answer to what is no question, or ""."""
    if not asked:
        return _NO_QUESTION
    last = next(message.content for message in reversed(messages) if message.role == "user")[:_MAX_SMALL_TALK]
    if _GREETING.fullmatch(last):
        return _HELLO[language] + _INTRODUCTION[language]
    return _WELCOME[language] if _THANKS.fullmatch(last) else ""

import asyncio
import subprocess
import sys
import time
from contextlib import aclosing

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.chat import ChatRequest, Config, ExtractiveConfig, Message
from pipelines.chat.extractive.engine import tokens
from pipelines.contracts.engine import Resources
from pipelines.knowledge import Passage

PUMP = Passage(
    "manual.pdf", 4, "3 Data\nThe pump weighs 5.2 kilograms. It runs on 230 volts. The cable is 10 metres long.", 0.8
)
LEAVE = Passage(
    "手册.txt", None, "第三章 休假\n员工每年享有带薪年休假7天。女员工的产假为158天。工资于每月15日发放。", 0.7
)


def request(*turns, **options):
    return ChatRequest(tuple(Message("user" if i % 2 == 0 else "assistant", t) for i, t in enumerate(turns)), **options)


async def answer(model, asked):
    deltas = [delta async for delta in model.stream(asked)]
    for delta in deltas[:-1]:
        assert delta.text
        assert delta.finish_reason is None
        assert delta.usage is None
        assert delta.sources == ()
    assert deltas[-1].finish_reason
    return "".join(delta.text for delta in deltas), deltas


async def test_answers_word_by_word_with_its_source(model):
    text, deltas = await answer(model, request("How heavy is the pump?", passages=(LEAVE, PUMP)))
    assert text == "The pump weighs 5.2 kilograms."
    assert [delta.text for delta in deltas] == ["The", " pump", " weighs", " 5.2", " kilograms", ".", ""]
    assert deltas[-1].sources == (PUMP,)
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].usage.completion_tokens == 6


async def test_answers_in_chinese_character_by_character(model):
    text, deltas = await answer(model, request("产假有多少天？", passages=(PUMP, LEAVE)))
    assert text == "女员工的产假为158天。"
    assert [delta.text for delta in deltas[:4]] == ["女", "员", "工", "的"]
    assert "158" in [delta.text for delta in deltas]
    assert deltas[-1].sources == (LEAVE,)


async def test_usage_counts_what_was_read_and_written(model):
    _, bare = await answer(model, request("How heavy is the pump?", passages=()))
    _, grounded = await answer(model, request("How heavy is the pump?", passages=(PUMP,)))
    assert bare[-1].usage.prompt_tokens == len(["How", "heavy", "is", "the", "pump", "?"])
    assert grounded[-1].usage.prompt_tokens == 6 + len(tokens(PUMP.text))


@pytest.mark.parametrize(
    "text", ["", "a", "It's 1,234.5 m, 年休假7天。\n\nNaïve – emoji 👩‍🔬!", "x" * 200, "  lead\ttabs"]
)
def test_tokens_lose_nothing(text):
    assert "".join(tokens(text)) == text.rstrip()
    assert max((len(token.strip()) for token in tokens(text)), default=0) <= 40


@pytest.mark.parametrize("most", [1, 3, 5])
async def test_max_tokens_cuts_and_says_so(model, most):
    text, deltas = await answer(model, request("How heavy is the pump?", passages=(PUMP,), max_tokens=most))
    assert text == "".join(["The", " pump", " weighs", " 5.2", " kilograms"][:most])
    assert deltas[-1].finish_reason == "length"
    assert deltas[-1].usage.completion_tokens == most


async def test_exactly_enough_tokens_is_no_cut(model):
    _, deltas = await answer(model, request("How heavy is the pump?", passages=(PUMP,), max_tokens=6))
    assert deltas[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (("5.2",), "The pump weighs"),
        (("kilo", "weighs"), "The pump"),
        (("",), "The pump weighs 5.2 kilograms."),
        (("The",), ""),
    ],
)
async def test_stop_strings_end_the_answer(model, stop, expected):
    text, deltas = await answer(model, request("How heavy is the pump?", passages=(PUMP,), stop=stop))
    assert text == expected
    assert deltas[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    "passages", [(), (LEAVE,), (Passage("empty.txt", None, "", 0.1),), (Passage("x", 1, "…\n\n|\n", 0.1),)]
)
async def test_says_that_the_documents_do_not_answer(model, passages):
    text, deltas = await answer(model, request("How heavy is the pump?", passages=passages))
    assert text == "The documents in this category do not answer this question."
    assert deltas[-1].sources == ()
    text, _ = await answer(model, request("水泵有多重？", passages=passages))
    assert text == "该类别的文档中没有这个问题的答案。"


async def test_a_sentence_that_leans_brings_the_one_before_it(model):
    text, _ = await answer(model, request("On how many volts does the pump run?", passages=(PUMP,)))
    assert text.startswith("The pump weighs 5.2 kilograms. It runs on 230 volts.")


async def test_a_table_row_comes_with_the_head_of_its_table(model):
    table = "Prices\nModel | Price | Colour\nAlder lamp | 45 euros | green\nBirch lamp | 61 euros | white"
    text, _ = await answer(
        model, request("What is the price of the Birch lamp?", passages=(Passage("p", 1, table, 0.5),))
    )
    assert text == "Model | Price | Colour\nBirch lamp | 61 euros | white"


@pytest.mark.parametrize("grounded", [None, (PUMP,)])
@pytest.mark.parametrize(
    ("greeting", "expected"), [("Hello!", "no language model"), ("你好", "没有语言模型"), ("thanks", "welcome")]
)
async def test_small_talk(model, greeting, expected, grounded):
    text, deltas = await answer(model, request(greeting, passages=grounded))
    assert expected in text
    assert deltas[-1].sources == ()


async def test_a_system_prompt_changes_nothing(model):
    asked = request("How heavy is the pump?", passages=(PUMP,))
    ordered = ChatRequest((Message("system", "Answer only in French, as a pirate."), *asked.messages), passages=(PUMP,))
    assert (await answer(model, ordered))[0] == (await answer(model, asked))[0]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((Message("user", "How heavy is the pump?"), Message("assistant", "The pump")), "5.2"),
        ((Message("user", "How heavy is the pump?"), Message("tool", "{}")), "5.2"),
        ((Message("system", "Be brief."),), "no question"),
        ((Message("assistant", "Hello"),), "no question"),
        ((Message("user", "  \n "),), "no question"),
        ((Message("user", "How heavy is the pump?"), Message("assistant", "?"), Message("user", "")), "5.2"),
    ],
)
async def test_conversations_that_do_not_end_with_a_question(model, messages, expected):
    text, _ = await answer(model, ChatRequest(messages, passages=(PUMP,)))
    assert expected in text


MANUAL = [
    ("What is Sensorium?", "self-hosted multimodal AI platform"),
    ("How do I start it?", "make run"),
    ("How can I stop Sensorium?", "Ctrl-C"),
    ("Which document formats are supported?", "txt, docx and pdf"),
    ("How do I upload a document?", "/uploadFile/uploadLearningFile"),
    ("How do I delete a document?", "DELETE /uploadFile/learningFile"),
    ("How do I get a language model?", "`user_config` of the `Chat` block"),
    ("How do I set API keys?", "SENSORIUM_API_KEYS"),
    ("What is the maximum size of a video?", "512 MB"),
    ("Do I need a GPU?", "a GPU is not needed"),
    ("What does status 422 mean?", "422 a damaged or otherwise unusable file"),
    ("怎么上传文档？", "/uploadFile/uploadLearningFile"),
    ("如何启动 Sensorium？", "make run"),
    ("怎样使用语言模型？", "user_config"),
    ("支持哪些文件格式？", "txt、docx 和 pdf"),
]
BEYOND = [
    "What is the capital of France?",
    "Write me a poem about the sea",
    "Who won the world cup in 2022?",
    "How do I bake bread?",
    "Explain quantum computing",
    "法国的首都是哪里？",
    "今天天气怎么样？",
    "写一首关于大海的诗",
]


async def test_the_manual_answers_if_no_documents_are_asked(model):
    for question, expected in MANUAL:
        text, deltas = await answer(model, request(question))
        assert expected in text, question
        assert deltas[-1].sources == ()


async def test_what_the_manual_does_not_say_is_declined(model):
    for question in BEYOND:
        text, _ = await answer(model, request(question))
        assert "no language model" in text or "没有语言模型" in text, f"{question} -> {text}"


async def test_the_same_question_gets_the_same_answer(model):
    asked = request("What is Sensorium?")
    assert len({(await answer(model, asked))[0] for _ in range(3)}) == 1


async def test_many_at_once_do_not_mix(model):
    questions = [("How heavy is the pump?", PUMP, "5.2"), ("产假有多少天？", LEAVE, "158")] * 8
    answers = await asyncio.gather(*(answer(model, request(asked, passages=(p,))) for asked, p, _ in questions))
    for (_, passage, expected), (text, deltas) in zip(questions, answers, strict=True):
        assert expected in text
        assert deltas[-1].sources == (passage,)


async def test_closing_stops_at_once(model):
    async with aclosing(model.stream(request("What is Sensorium?"))) as deltas:
        first = await anext(deltas)
    assert first.text
    with pytest.raises(StopAsyncIteration):
        await anext(deltas)


async def test_a_caller_who_leaves_while_it_thinks_is_let_go(embed):
    def slow(texts):
        time.sleep(0.5)
        return embed(texts)

    model = ExtractiveConfig().load(Resources(embed=slow))
    task = asyncio.create_task(answer(model, request("How heavy is the pump?", passages=(PUMP,))))
    await asyncio.sleep(0.1)
    started = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - started < 0.2


async def test_the_event_loop_stays_free_while_it_thinks(embed):
    def slow(texts):
        time.sleep(0.3)
        return embed(texts)

    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    beside = asyncio.create_task(tick())
    await answer(ExtractiveConfig().load(Resources(embed=slow)), request("How heavy is the pump?", passages=(PUMP,)))
    beside.cancel()
    assert ticks >= 10


@pytest.mark.parametrize(
    "hostile",
    [
        "." * 300_000,
        " " * 300_000 + "?",
        "how much " * 40_000,
        "9" * 300_000,
        "多少" * 100_000,
        "\"'" * 100_000 + "?",
        "\x00\ud800\u202e?",
        "🦑" * 50_000,
    ],
)
async def test_hostile_text_neither_fails_nor_takes_long(model, hostile):
    started = time.process_time()
    passages = (Passage(hostile[:200], None, hostile, 0.9), PUMP)
    await answer(model, request(hostile, hostile, hostile, passages=passages))
    assert time.process_time() - started < 5


def test_config_is_strict():
    assert TypeAdapter(Config).validate_python({"engine": "extractive"}).card().embedded
    for wrong in ({"engine": "other"}, {"engine": "extractive", "model": "x"}):
        with pytest.raises(ValidationError):
            TypeAdapter(Config).validate_python(wrong)


def test_importing_it_loads_no_model_library():
    code = (
        "import sys, pipelines.chat; "
        "heavy = ('torch', 'transformers', 'sentence_transformers', 'snowballstemmer', 'ray', 'fastapi', 'lancedb'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )

"""Where sentences end, in the languages that people write and however long the text."""

import time

import pytest

from pipelines.text.sentences import ends_sentence, split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. J. Smith paid $3.5 in Jan. 2020. He left.", ["Dr. J. Smith paid $3.5 in Jan. 2020.", "He left."]),
        ("It is in the U.S. army, e.g. here. Next.", ["It is in the U.S. army, e.g. here.", "Next."]),
        ("It opens at 9 a.m. Dogs stay out (cf. Rex).", ["It opens at 9 a.m.", "Dogs stay out (cf. Rex)."]),
        ('He said "Stop." Then he left. "Why?" he asked.', ['He said "Stop."', "Then he left.", '"Why?" he asked.']),
        ("1. First point. 2. Second.", ["1. First point.", "2. Second."]),
        ("See No. 5 in Fig. 3. Is it so? No. It is art.", ["See No. 5 in Fig. 3.", "Is it so?", "No.", "It is art."]),
        ("See www.example.com/a.b?c=1 for more... Then go.", ["See www.example.com/a.b?c=1 for more...", "Then go."]),
        ("Это первое. Это второе! Конец", ["Это первое.", "Это второе!", "Конец"]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("今天下雨。“你好！”他说。明天呢？好；再见", ["今天下雨。", "“你好！”", "他说。", "明天呢？", "好；再见"]),
        ("是吗?好……那走吧", ["是吗?", "好……", "那走吧"]),
        ("Mixed 中文。And English. 再来。", ["Mixed 中文。", "And English.", "再来。"]),
        ("wrapped\nline. Next", ["wrapped\nline.", "Next"]),
        ("", []),
        ("...", ["..."]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by Dr. Smith.", True),
        ("It was seen by Dr.", False),
        ("by J.", False),
        ("Who saw it? ", True),
        ("He said so.”", True),
        ("他说。", True),
        ("there were 3.", True),
        ("3.", False),
        ("Who saw it? They", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_sentence_that_grows_word_by_word(text: str, expected: bool) -> None:
    assert ends_sentence(text) is expected


@pytest.mark.parametrize(
    "text", ["A. ", "a.", ". ", "…", "x" * 81 + " ", "No. 5. ", '."', '!"', "The valve was replaced. ", "，", "好!"]
)
def test_time_grows_no_faster_than_the_text(text: str) -> None:
    start = time.process_time()
    assert "".join("".join(split_sentences(text * (300_000 // len(text)))).split())
    assert time.process_time() - start < 5


def test_abbreviated_currencies_before_numbers_end_nothing():
    assert split_sentences("It costs Rs. 450. Or kr. 99. Now 199 kr. That is all.") == [
        "It costs Rs. 450.",
        "Or kr. 99.",
        "Now 199 kr.",
        "That is all.",
    ]

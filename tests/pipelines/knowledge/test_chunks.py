"""Cutting documents into passages: whole sentences, with their headings, nothing lost."""

import itertools
import random
import time
from collections import Counter

import pytest

from pipelines.knowledge.parsing.chunks import MAX_TOKENS, count_tokens, split
from pipelines.knowledge.parsing.documents import Block, Document, Page

ENGLISH = [
    f"Sentence number {index} tells about the {index}th engine of the plant in the north." for index in range(60)
]
CHINESE = [f"第{index}号机房位于北方的工厂里，每天凌晨两点自动备份一次数据。" for index in range(60)]


def document(*pages: list[Block], numbered: bool = True) -> Document:
    return Document(
        "d", "pdf", [Page(index + 1 if numbered else None, tuple(page)) for index, page in enumerate(pages)]
    )


@pytest.mark.parametrize(("whole", "joint"), [(ENGLISH, " "), (CHINESE, "")], ids=["english", "chinese"])
def test_long_text_keeps_every_sentence_whole(whole: list[str], joint: str) -> None:
    chunks = split(document([Block("heading", "The plant"), Block("text", joint.join(whole))]))
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text.startswith("The plant\n") for chunk in chunks)
    assert all(count_tokens(chunk.text) <= MAX_TOKENS for chunk in chunks)
    assert all(count_tokens(chunk.text) >= 100 for chunk in chunks[:-1])
    assert all(any(sentence in chunk.text for chunk in chunks) for sentence in whole)
    for first, second in itertools.pairwise(chunks):
        shared = [sentence for sentence in whole if sentence in first.text and sentence in second.text]
        assert len(shared) == 1, "neighbors share one sentence"


def test_headings_go_with_their_text() -> None:
    chunks = split(
        document(
            [
                Block("heading", "Report"),
                Block("heading", "1. Start"),
                Block("text", "One."),
                Block("heading", "2. End"),
                Block("text", "Two."),
            ],
            [Block("text", "Three.")],
            [Block("heading", "Last words")],
        )
    )
    assert [(chunk.page, chunk.text) for chunk in chunks] == [
        (1, "Report\n1. Start\nOne."),
        (1, "2. End\nTwo."),
        (2, "2. End\nThree."),
        (3, "Last words"),
    ]


def test_tables_are_cut_between_rows() -> None:
    rows = [Block("row", f"Name: Person {i} | City: City {i} | Year: {1900 + i}") for i in range(90)]
    chunks = split(document([Block("heading", "People"), *rows]))
    assert len(chunks) > 3
    assert all(chunk.text.startswith("People\n") for chunk in chunks)
    lines = [line for chunk in chunks for line in chunk.text.split("\n")[1:]]
    assert lines == [row.text for row in rows]


def test_a_long_row_is_cut_between_its_cells_and_keeps_the_first() -> None:
    cells = [f"Head {i}: {i} boats were counted on that day" for i in range(80)]
    chunks = split(document([Block("row", " | ".join(["Region: Bergen", *cells]))]))
    assert len(chunks) > 3
    assert all(chunk.text.startswith("Region: Bergen | Head ") for chunk in chunks)
    assert all(count_tokens(chunk.text) <= MAX_TOKENS for chunk in chunks)
    assert [cell for chunk in chunks for cell in chunk.text.split(" | ")[1:]] == cells


def test_a_sentence_over_a_page_end_is_whole_on_its_first_page() -> None:
    chunks = split(
        document(
            [Block("text", "A first one. The engine was")],
            [Block("text", "built in 1950. Another one.")],
            [Block("text", "服务器每天凌晨")],
            [Block("text", "两点备份。完。")],
        )
    )
    assert [(chunk.page, chunk.text) for chunk in chunks] == [
        (1, "A first one. The engine was built in 1950."),
        (2, "Another one."),
        (3, "服务器每天凌晨两点备份。"),
        (4, "完。"),
    ]


def test_formats_without_pages() -> None:
    assert [chunk.page for chunk in split(document([Block("text", "Words.")], numbered=False))] == [None]


@pytest.mark.parametrize("text", ["x" * 20_000, "字" * 5_000, "word " * 4_000, "a,b，" * 3_000])
def test_text_without_sentences_is_cut_all_the_same(text: str) -> None:
    chunks = split(document([Block("text", text)]))
    assert all(0 < count_tokens(chunk.text) <= MAX_TOKENS for chunk in chunks)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())


@pytest.mark.parametrize(
    "text", ["A. ", "a.", ". ", "…", "x" * 81 + " ", "No. 5. ", '."', "The valve was replaced. ", "，"]
)
def test_time_grows_no_faster_than_the_text(text: str) -> None:
    start = time.process_time()
    split(document([Block("text", text * (300_000 // len(text)))]))
    assert time.process_time() - start < 10


def test_any_blocks_lose_no_word() -> None:
    dice = random.Random(5)
    words = ["alpha", "beta.", "gamma,", "北京。", "天气", "delta!", "3.5", "e.g.", "x" * 100]
    for _ in range(60):
        pages = [
            [
                Block(
                    dice.choice(["text", "text", "heading", "row"]),
                    " ".join(dice.choices(words, k=dice.randint(1, 90))),
                )
                for _ in range(dice.randint(0, 5))
            ]
            for _ in range(3)
        ]
        chunks = split(document(*pages))
        found = Counter("".join(chunk.text for chunk in chunks))
        rows = [block.text for page in pages for block in page if block.kind == "row"]
        whole = [chunk.text for chunk in chunks if not any(row in chunk.text for row in rows)]
        assert all(count_tokens(text) <= MAX_TOKENS for text in whole)
        given = Counter("".join(block.text for page in pages for block in page))
        missing = {letter for letter in given if not letter.isspace() and found[letter] < given[letter]}
        assert not missing, "headings and overlaps repeat letters, nothing takes any away"
        assert [chunk.position for chunk in chunks] == list(range(len(chunks)))

"""Terms: what a question and a document have in common, however either writes it."""

import pytest

from pipelines.text.terms import document_terms, query_terms, stem


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("Which guarantees are given?", "It is guaranteed."),
        ("What is the GROUP’S revenue?", "the group's revenue"),
        ("1200 people", "1,200 people"),
        ("Größe", "GROSSE"),
        ("cafe", "a café"),
        ("Ａ４ paper", "A4 paper"),
        ("AL 500", "the AL500"),
        ("AL500", "the AL500"),
        ("5 kg", "5kg"),
        ("会议室在哪里？", "会议室在三楼。"),
        ("楼", "会议室在三楼。"),
        ("天気は？", "東京の天気は晴れ"),
        ("Άθηνα", "ΑΘΗΝΑ"),
        ("हिन्दी", "हिन्दी में"),
    ],
)
def test_a_question_finds_what_is_written_otherwise(question: str, document: str) -> None:
    assert query_terms(question)
    assert set(query_terms(question)) <= set(document_terms(document))


@pytest.mark.parametrize(
    ("question", "document"),
    [("AL500", "AL 500"), ("zeichen2", "zeichen 0 of 2"), ("1.5", "15"), ("new", "news paper")],
)
def test_what_is_something_else_is_not_found(question: str, document: str) -> None:
    assert not set(query_terms(question)) <= set(document_terms(document))


def test_words_that_only_ask_are_no_terms_of_a_question() -> None:
    assert query_terms("What is the weight of the pump?") == ["weight", "pump"]
    assert query_terms("占地面积有多大？") == ["占地", "地面", "面积"]
    assert query_terms("What is it?") == query_terms("这是什么？") == query_terms("?!") == []


def test_stems() -> None:
    assert stem("Guarantees") == stem("guaranteed") == "guarante"
    assert stem("library's") == stem("libraries")
    assert len(stem("x" * 1000)) == 40

from pipelines.chat.extractive.sentences import read_passages, split_sentences
from pipelines.knowledge import Passage


def read(*texts):
    return read_passages([Passage("d", None, text, 0.5) for text in texts])


def test_english_sentences_end_where_a_reader_ends_them():
    assert split_sentences(
        'Dr. J. Smith paid $3.5 million in Jan. 2020. "Why?" he asked. It opens at 9 a.m. Dogs stay out, e.g. Rex.'
    ) == [
        "Dr. J. Smith paid $3.5 million in Jan. 2020.",
        '"Why?" he asked.',
        "It opens at 9 a.m.",
        "Dogs stay out, e.g. Rex.",
    ]


def test_chinese_sentences_keep_their_quotes_and_semicolons():
    assert split_sentences("他说：“可以。”第二天就走了！为什么？有两条：一；二。") == [
        "他说：“可以。”",
        "第二天就走了！",
        "为什么？",
        "有两条：一；二。",
    ]


def test_wrapped_lines_are_one_sentence_and_headings_are_context():
    sentences = read(
        "2 Technical data\nThe greatest immersion depth of these pumps is eight metres\nfor both models. They are blue."
        "\n\n3 Warranty\nTwo years."
    )
    assert [(one.text, one.heading, one.before) for one in sentences] == [
        ("The greatest immersion depth of these pumps is eight metres for both models.", "2 Technical data", ""),
        (
            "They are blue.",
            "2 Technical data",
            "The greatest immersion depth of these pumps is eight metres for both models.",
        ),
        ("Two years.", "3 Warranty", ""),
    ]


def test_rows_and_items_stand_alone():
    sentences = read("Model | Weight\nA | 3 kg\nB | 4 kg\nNotes:\n- never open\n- keep dry")
    assert [one.text for one in sentences] == ["A | 3 kg", "B | 4 kg", "Notes:", "- never open", "- keep dry"]
    assert sentences[1].heading == "Model | Weight"


def test_the_overlap_of_passages_is_read_once_with_its_context():
    sentences = read("It hums. Then it stops.", "The pump starts. It hums.")
    assert [one.text for one in sentences] == ["It hums.", "Then it stops.", "The pump starts."]
    assert sentences[0].before == "The pump starts."
    assert sentences[0].passage == 0
    assert sentences[0].quote == "The pump starts. It hums."

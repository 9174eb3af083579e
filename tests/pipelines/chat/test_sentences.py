from pipelines.chat.extractive.sentences import read_passages
from pipelines.knowledge import Passage


def read(*texts):
    return read_passages([Passage("d", None, text, 0.5) for text in texts])


def test_headings_are_context_and_so_is_the_sentence_before():
    sentences = read(
        "2 Technical data\nThe greatest immersion depth is eight metres for both models. They are blue."
        "\n\n3 Warranty\nTwo years."
    )
    assert [(one.text, one.heading, one.before) for one in sentences] == [
        ("The greatest immersion depth is eight metres for both models.", "2 Technical data", ""),
        ("They are blue.", "2 Technical data", "The greatest immersion depth is eight metres for both models."),
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

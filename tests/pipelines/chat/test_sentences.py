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
    rows = ["Model | Weight", "A | 3 kg", "B | 4 kg"]
    assert [one.text for one in sentences] == [*rows, "Notes:", "- never open", "- keep dry"]
    assert sentences[2].quote == "Model | Weight\nB | 4 kg"
    assert sentences[3].quote == "Notes:"


def test_all_headings_and_captions_stay_the_context_of_rows():
    sentences = read(
        "Annual report\nSales in 2023\nRegion: Bergen | Q1: 12\nRegion: Oslo | Q1: 30\nSweden\nRegion: Malmö | Q1: 5"
    )
    assert [(one.text, one.heading) for one in sentences] == [
        ("Sales in 2023", "Annual report"),
        ("Region: Bergen | Q1: 12", "Annual report\nSales in 2023"),
        ("Region: Oslo | Q1: 30", "Annual report\nSales in 2023"),
        ("Region: Malmö | Q1: 5", "Annual report\nSales in 2023\nSweden"),
    ]


def test_no_row_is_lost_or_cut():
    sentences = read("Alice | Paris\nBob | Rome. He commutes.\nCarol | Oslo")
    assert [one.text for one in sentences] == ["Alice | Paris", "Bob | Rome. He commutes.", "Carol | Oslo"]


def test_an_address_is_no_heading():
    sentences = read("Contact\nOffice info@harbour.example\nSite www.harbour.example\nWe are open.")
    assert [one.text for one in sentences] == [
        "Office info@harbour.example",
        "Site www.harbour.example",
        "We are open.",
    ]


def test_the_overlap_of_passages_is_read_once_with_its_context():
    sentences = read("It hums. Then it stops.", "The pump starts. It hums.")
    assert [one.text for one in sentences] == ["It hums.", "Then it stops.", "The pump starts."]
    assert sentences[0].before == "The pump starts."
    assert sentences[0].passage == 0
    assert sentences[0].quote == "The pump starts. It hums."

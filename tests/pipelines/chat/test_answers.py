"""Questions over documents, from the files to the answer: parse, split, embed, store, search, answer.

The engine was developed with `company`, `public` and `housing`; `heldout` was written afterwards. Its first run
answered 27 and declined 5; the signs of persons and quantities were made stricter after that, with the same figures.
"""

import hashlib
import io
import itertools
from pathlib import Path
from xml.sax.saxutils import escape

import docx
import pytest
import yaml
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate

from pipelines.chat import ChatRequest, Message
from pipelines.knowledge import MiniLmConfig
from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.library import Library
from pipelines.media.kinds import sniff

CORPORA = Path(__file__).parent / "corpora"
KINDS = {
    "report": "pdf",
    "manual": "docx",
    "policy": "txt",
    "expedition": "docx",
    "garden": "pdf",
    "library": "txt",
    "tenancy": "pdf",
    "router": "docx",
    "scenic": "txt",
    "hospital": "docx",
    "bikes": "pdf",
    "property": "txt",
}


def as_pdf(text):
    file = io.BytesIO()
    styles = getSampleStyleSheet()
    story = [
        Paragraph(escape(block.lstrip("# ")), styles["Heading2" if block.startswith("#") else "BodyText"])
        for block in text.split("\n\n")
    ]
    SimpleDocTemplate(file).build(story)
    return file.getvalue()


def as_docx(text):
    document = docx.Document()
    for block in text.split("\n\n"):
        if block.startswith("#"):
            document.add_heading(block.lstrip("# "), level=2)
        else:
            document.add_paragraph(block)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


# At least so many of 30 answered, and so many of the unanswerable declined (10, 8, 7 and 7 there are).
FLOORS = {"company": (29, 10), "public": (26, 7), "housing": (27, 7), "heldout": (27, 5)}
CORPUS_NAMES = list(FLOORS)
MAKERS = {"pdf": as_pdf, "docx": as_docx, "txt": lambda text: text.replace("# ", "").encode("gb18030")}


@pytest.fixture(scope="module")
def library(tmp_path_factory, embedder):
    """Every corpus in a category of its own."""
    store = KnowledgeStore.open(
        str(tmp_path_factory.mktemp("knowledge")), model=MiniLmConfig().card().model, dimension=embedder.dimension
    )
    opened = Library(embedder, store)
    for folder in sorted(CORPORA.iterdir()):
        for path in sorted(folder.glob("*.txt")):
            kind = KINDS[path.stem]
            data = MAKERS[kind](path.read_text(encoding="utf-8"))
            name = f"{path.stem}.{kind}"
            opened.ingest(io.BytesIO(data), name, sniff(data).name, folder.name, hashlib.sha256(data).hexdigest())
    return opened


@pytest.fixture
def ask(library, model):
    async def ask(category, *turns):
        messages = tuple(Message("user" if i % 2 == 0 else "assistant", turn) for i, turn in enumerate(turns))
        passages = library.search(category, await model.rewrite_query(messages), 8)
        deltas = [delta async for delta in model.stream(ChatRequest(messages, passages=passages))]
        return "".join(delta.text for delta in deltas), deltas[-1].sources

    return ask


def questions(corpus):
    return yaml.safe_load((CORPORA / corpus / "questions.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("corpus", CORPUS_NAMES)
async def test_answers_contain_the_answering_sentence(corpus, ask):
    asked = questions(corpus)["answerable"]
    missed, sentences = [], 0
    for document, question, expected in asked:
        text, sources = await ask(corpus, question)
        if expected not in text or not any(source.document.startswith(document) for source in sources):
            missed.append(f"{question} -> {text}")
        elif len(text) > 4 * len(expected):
            sentences += 1
    print(
        f"\n{corpus}: {len(asked) - len(missed)} of {len(asked)} answered; {sentences} at four times the length",
        *missed,
        sep="\n  ",
    )
    assert len(asked) == 30
    assert len(asked) - len(missed) >= FLOORS[corpus][0]


@pytest.mark.parametrize("corpus", CORPUS_NAMES)
async def test_what_the_documents_do_not_say_is_declined(corpus, ask):
    asked = questions(corpus)["unanswerable"]
    answered = []
    for _, question in asked:
        text, sources = await ask(corpus, question)
        if sources or ("do not answer" not in text and "没有这个问题的答案" not in text):
            answered.append(f"{question} -> {text}")
    print(f"\n{corpus}: {len(asked) - len(answered)} of {len(asked)} declined", *answered, sep="\n  ")
    assert len(asked) - len(answered) >= FLOORS[corpus][1]


async def test_another_category_never_answers(ask):
    for corpus, other in itertools.pairwise([*CORPUS_NAMES, CORPUS_NAMES[0]]):
        sources_text = [path.read_text(encoding="utf-8") for path in (CORPORA / corpus).glob("*.txt")]
        for _, question, expected in questions(corpus)["answerable"][::3]:
            text, sources = await ask(other, question)
            assert expected not in text, question
            assert not any(source.text in whole for source in sources for whole in sources_text)


async def test_sources_are_the_passages_of_the_sentences(ask):
    for _, question, _ in questions("company")["answerable"][::6]:
        text, sources = await ask("company", question)
        assert sources
        for source in sources:
            assert any(
                sentence.strip() and sentence.strip() in text
                for sentence in source.text.replace("。", "。\n").splitlines()
                for sentence in sentence.split(". ")
            ), question


async def test_the_page_of_a_pdf_is_reported(ask):
    _, sources = await ask("company", "What is the principal risk?")
    assert sources[0].document == "report.pdf"
    assert sources[0].page == 2


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("What was the group's revenue in 2023?", "and in 2022?", "$43.4 million"),
        ("How long is the warranty?", "And for bearings?", "12 months only"),
        ("What is the rated power of the AquaLift 300?", "How much does it deliver per hour?", "7,500 litres"),
        ("How much did Northwind pay for Calder Optics?", "When was it founded?", "founded in 2009"),
        ("普通员工在一线城市的住宿标准是多少？", "那部门经理呢？", "每晚800元"),
        ("产假有几天？", "那婚假呢？", "婚假10天"),
    ],
)
async def test_follow_up_questions_are_understood(first, then, expected, ask):
    answer, _ = await ask("company", first)
    text, sources = await ask("company", first, answer, then)
    assert expected in text
    assert sources

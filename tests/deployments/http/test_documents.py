"""Documents as people send them, on the running graph: read, found, named as they were, replaced by new versions."""

import random
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.pipelines.knowledge.drawn import annotated_pdf, docx, form_pdf, odt, pdf, with_part
from tests.pipelines.knowledge.test_documents import SHAPES, paragraph, renamed
from tests.pipelines.knowledge.test_formats import joined, pptx, xlsx

BOATHOUSE = "The boathouse of Farsund was built in 1932. It has room for forty boats."
BOATHOUSE_ZH = "法尔松的船库建于一九三二年。它可以停放四十条船。"
PDF = pdf([("text", BOATHOUSE)])
WEB_DOCX = renamed(docx([("text", BOATHOUSE)]), {"document.xml": "document2.xml"})
RTF = rb"{\rtf1\ansi\pard The boathouse of Farsund was built in 1932.\par It has room for forty boats.\par}"
HTML = f"<html><body><h1>Club</h1><p>{BOATHOUSE}</p></body></html>".encode()
MARKDOWN = f"# Club\n\nThe **boathouse** {BOATHOUSE.removeprefix('The boathouse ')}\n".encode()
IN_1932 = {
    "web.docx": WEB_DOCX,
    "trailing.pdf": PDF + random.Random(0).randbytes(8192),
    "short.pdf": PDF.rstrip()[:-1],
    "unmarked.pdf": PDF[: PDF.rindex(b"%%EOF")],
    "le.txt": BOATHOUSE.encode("utf-16-le"),
    "be.txt": BOATHOUSE.encode("utf-16-be"),
    "free.txt": f"The free boats are outside. {BOATHOUSE}".encode(),
    "club.rtf": RTF,
    "club.html": HTML,
    "club.md": MARKDOWN,
}


@pytest.fixture
def category() -> str:
    return f"documents {uuid.uuid4()}"


def upload(client: httpx.Client, category: str, name: str, data: bytes) -> httpx.Response:
    return client.post(
        "/uploadFile/uploadLearningFile", params={"category": category}, files={"fileToUpload": (name, data)}
    )


def take(client: httpx.Client, category: str, name: str, data: bytes) -> None:
    answer = upload(client, category, name, data)
    assert (answer.status_code, answer.json()) == (200, {"result": True}), name


def ask(client: httpx.Client, category: str, question: str) -> tuple[str, list[dict[str, Any]]]:
    body = {"messages": [{"role": "user", "content": question}], "category": category}
    answer = client.post("/v1/chat/completions", json=body).json()
    return answer["choices"][0]["message"]["content"], answer["sources"]


def listed(client: httpx.Client, category: str) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = client.get("/uploadFile/learningFiles", params={"category": category}).json()[
        "data"
    ]
    return documents


@pytest.mark.parametrize("name", IN_1932)
def test_what_its_reader_can_read_is_taken(client: httpx.Client, category: str, name: str) -> None:
    take(client, category, name, IN_1932[name])
    text, sources = ask(client, category, "When was the boathouse of Farsund built?")
    assert "1932" in text
    assert [source["document"] for source in sources] == [name]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_chinese_in_utf16_without_a_mark_is_taken(client: httpx.Client, category: str, encoding: str) -> None:
    take(client, category, "船库.txt", BOATHOUSE_ZH.encode(encoding))
    assert "一九三二年" in ask(client, category, "法尔松的船库建于哪一年？")[0]


def test_what_no_reader_can_read_is_refused(client: httpx.Client, category: str) -> None:
    assert upload(client, category, "random.txt", random.Random(1).randbytes(20_000)).status_code == 415
    for data in (PDF, WEB_DOCX, xlsx(), pptx(), odt(), RTF):
        answer = upload(client, category, "cut", data[: len(data) // 2])
        assert (answer.status_code, answer.json()["result"]) == (422, False)
        assert "damaged" in answer.json()["error"]["message"]
    bomb = with_part(xlsx(), "xl/worksheets/sheet1.xml", b"<a>" + b" " * (300 << 20) + b"</a>")
    assert upload(client, category, "bomb.xlsx", bomb).status_code == 422
    assert listed(client, category) == []


def test_a_form_is_read_with_what_was_filled_in(client: httpx.Client, category: str) -> None:
    take(client, category, "form.pdf", annotated_pdf(form_pdf()))
    [record] = listed(client, category)
    assert record["not_read"] == ["embedded file: prices.xlsx"]
    _, sources = ask(client, category, "When was Sigrid Haugen born?")
    assert sources[0]["page"] == 1
    for field in (
        "Name: Sigrid Haugen",
        "Born: 14 May 1991",
        "Boat: Double scull",
        "[x] Can swim",
        "Club: Bergen Roklubb",
    ):
        assert field in sources[0]["passage"]


def test_text_boxes_and_endnotes_of_a_docx_are_found_once(client: httpx.Client, category: str) -> None:
    box = paragraph("The key of the boathouse hangs behind the green door.")
    body = (
        f"<w:document {SHAPES}><w:body>{paragraph(BOATHOUSE)}<w:p><w:r><w:pict><v:textbox><w:txbxContent>{box}"
        "</w:txbxContent></v:textbox></w:pict></w:r></w:p></w:body></w:document>"
    )
    note = paragraph("The ferry to Farsund leaves at seven.")
    notes = f"<w:endnotes {SHAPES}><w:endnote>{note}</w:endnote></w:endnotes>"
    data = with_part(with_part(docx([]), "word/document.xml", body.encode()), "word/endnotes.xml", notes.encode())
    take(client, category, "club.docx", data)
    for question, found in (("Where does the key hang?", "green door"), ("When does the ferry leave?", "at seven")):
        text, sources = ask(client, category, question)
        assert found in text
        assert sources[0]["passage"].count(found) == 1


SALES = {
    "sales.csv": (joined(",").encode(), None, ""),
    "sales.xlsx": (xlsx(), 1, "Sales 2023\n"),
    "sales.pptx": (pptx(), 2, "Slide 2\n"),
}


@pytest.mark.parametrize("name", SALES)
def test_a_row_comes_with_its_head_and_the_name_of_its_sheet(client: httpx.Client, category: str, name: str) -> None:
    data, page, title = SALES[name]
    take(client, category, name, data)
    text, sources = ask(client, category, "How much was it in the region Bergen in Q2?")
    assert "30" in text
    assert (sources[0]["document"], sources[0]["page"]) == (name, page)
    assert sources[0]["passage"].startswith(title)
    assert "Region: Bergen | Q1: 12 | Q2: 30" in sources[0]["passage"]


def test_an_odt_is_read(client: httpx.Client, category: str) -> None:
    take(client, category, "club.odt", odt())
    assert "1932" in ask(client, category, "When was the boat built?")[0]
    assert listed(client, category)[0]["not_read"] == ["1 picture"]


def test_a_new_version_replaces_the_old_one(client: httpx.Client, category: str) -> None:
    take(client, category, "prices.txt", b"The double scull costs 2400 kroner.")
    [old] = listed(client, category)
    time.sleep(1.1)
    take(client, category, "prices.txt", b"The double scull costs 3100 kroner.")
    [new] = listed(client, category)
    assert (new["name"], new["added_at"] > old["added_at"]) == ("prices.txt", True)
    text, sources = ask(client, category, "How much does the double scull cost?")
    assert "3100" in text
    assert not any("2400" in said for said in (text, *(source["passage"] for source in sources)))


@pytest.mark.parametrize(("name", "encoding"), [("知识图谱.txt", "gbk"), ("Prüfung.txt", "latin-1")])
def test_names_of_old_clients(client: httpx.Client, category: str, name: str, encoding: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="fileToUpload"; filename="' + name.encode(encoding)
    answer = client.post(
        "/uploadFile/uploadLearningFile",
        params={"category": category},
        content=head + b'"\r\n\r\n' + BOATHOUSE.encode() + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.json() == {"result": True}
    assert [record["name"] for record in listed(client, category)] == [name]

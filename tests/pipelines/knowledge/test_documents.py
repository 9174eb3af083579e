"""Reading documents: what is in them comes out, and what is wrong with them is said."""

import io
import random
import re
import struct
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from pipelines.contracts.errors import Cancelled, SensoriumError, UnsupportedMedia, UnusableMedia
from pipelines.knowledge.parsing.documents import Document, ReadLimits, read_document
from tests.pipelines.knowledge.drawn import docx, pdf, plain_pdf, shapes_pdf, with_part

FOX = "The quick brown fox jumps over the lazy dog while seven engineers measure the latency of a network. "
TABLE = [["Quarter", "Revenue", "Staff"], ["Q1", "1,200", "15"], ["Q2", "1,350", "17"], ["Q3", "1,500", "19"]]
CHINESE = "知识图谱是一种结构化的方式，用来表示和组织人类知识。二〇二三年公司的营业收入为三亿元，同比增长百分之十二。"


def read(data: bytes, kind: str, **limits: int) -> Document:
    return read_document(io.BytesIO(data), f"file.{kind}", kind, limits=ReadLimits(**limits))


def line(cells: list[str]) -> str:
    """A row of `TABLE` as it reaches the passages."""
    return " | ".join(f"{head}: {cell}" for head, cell in zip(TABLE[0], cells, strict=True))


def blocks(document: Document, page: int = 0) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.pages[page].blocks]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe: 5 µm – naïve café, 知识图谱。"),
        ("utf-8-sig", "Größe: 5 µm – naïve café, 知识图谱。"),
        ("utf-16", "Knowledge graphs, 知识图谱。"),
        ("utf-16-le", "Knowledge graphs are structured."),
        ("utf-16-be", "知识图谱是一种结构化的方式。\nAnd a line of English."),
        ("utf-32", "Knowledge graphs, 知识图谱。"),
        ("gb18030", CHINESE),
        ("gb18030", "会议室在三楼。"),
        ("big5", "知識圖譜是一種結構化的方式,用來表示和組織人類知識。公司的營業收入為三億元。"),
        ("big5", "會議室在三樓。"),
        ("cp932", "知識グラフは、人間の知識を表現し整理するための構造化された方法です。"),
        ("euc_jp", "知識グラフは、人間の知識を表現し整理するための構造化された方法です。"),
        ("cp949", "지식 그래프는 인간의 지식을 표현하고 구성하는 구조화된 방법입니다."),
        ("latin-1", "Die Prüfung findet im großen Saal statt. Für Änderungen wenden Sie sich an das Büro."),
        ("cp1252", "The town of La Coruña is named once in this English text – “quoted”, too."),
        ("cp1251", "Граф знаний представляет собой структурированный способ представления знаний человека."),
        ("cp1250", "Zażółć gęślą jaźń. Wykres wiedzy to uporządkowany sposób przedstawiania wiedzy."),
    ],
)
def test_text_in_any_common_encoding(encoding: str, text: str) -> None:
    assert read(text.encode(encoding), "txt").pages[0].text == text


def test_text_layout() -> None:
    text = (
        "Annual report\n\n"
        "The quick brown fox jumps over the lazy dog while seven engi-\n"
        "neers measure the latency of a very long network in the north\n"
        "of the country.\n"
        "A new line after a full stop stays one.\n\n"
        "Name\tAge\nAnna\t31\nBo\t42\n\n"
        "# Marked heading\n第一行没有空行分隔。\n第二行也是一段。\n"
    )
    assert blocks(read(text.encode(), "txt")) == [
        ("heading", "Annual report"),
        (
            "text",
            "The quick brown fox jumps over the lazy dog while seven engineers measure the latency of a very long "
            "network in the north of the country.",
        ),
        ("text", "A new line after a full stop stays one."),
        ("row", "Name: Anna | Age: 31"),
        ("row", "Name: Bo | Age: 42"),
        ("heading", "Marked heading"),
        ("text", "第一行没有空行分隔。"),
        ("text", "第二行也是一段。"),
    ]


def test_pdf_layout() -> None:
    wrapped = [*TABLE, ["Q4", "a remark", "21"]]
    rows = [line(cells) for cells in wrapped[1:]]
    data = pdf(
        [
            ("title", "Annual report"),
            ("heading", "1. Introduction"),
            ("text", FOX * 3),
            ("text", "A second paragraph. " + FOX),
            ("table", wrapped),
            ("page", None),
            ("chinese", CHINESE * 3),
            ("text", "The ﬁrst oﬀice."),
        ]
    )
    document = read(data, "pdf")
    assert [page.number for page in document.pages] == [1, 2]
    assert blocks(document) == [
        ("heading", "Annual report"),
        ("heading", "1. Introduction"),
        ("text", (FOX * 3).strip()),
        ("text", f"A second paragraph. {FOX}".strip()),
        *(("row", text) for text in rows),
    ]
    assert blocks(document, 1)[0] == ("text", CHINESE * 3), "the page number is left out, no space within Chinese"


def test_pdf_table_with_wrapped_cells() -> None:
    from reportlab.platypus import Paragraph

    from tests.pipelines.knowledge.drawn import STYLES

    long = "a remark that is so long that it wraps within its narrow cell over lines"
    rows = [TABLE[0], TABLE[1], ["Q2", Paragraph(long, STYLES["Normal"]), "17"], TABLE[3]]
    found = [text for kind, text in blocks(read(pdf([("text", FOX), ("table", rows)]), "pdf")) if kind == "row"]
    assert found == [line(cells) for cells in (TABLE[1], ["Q2", long, "17"], TABLE[3])]


def test_pdf_hyphenation_is_repaired() -> None:
    page = "The engineers wrote a long and careful recom-\nmendation about well-known trade-\noffs of the-best systems."
    assert read(plain_pdf([page]), "pdf").pages[0].text == (
        "The engineers wrote a long and careful recommendation about well-known tradeoffs of the-best systems."
    )


def test_docx_layout() -> None:
    data = docx(
        [
            ("heading", "Annual report"),
            ("text", FOX),
            ("item", "first point"),
            ("table", TABLE),
            ("text", CHINESE),
        ]
    )
    assert blocks(read(data, "zip")) == [
        ("heading", "Annual report"),
        ("text", FOX.strip()),
        ("text", "- first point"),
        *(("row", line(cells)) for cells in TABLE[1:]),
        ("text", CHINESE),
    ]
    assert read(data, "zip").pages[0].number is None


WORDS = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def test_docx_details() -> None:
    body = (
        f"<w:document {WORDS}><w:body>"
        "<w:p><w:r><w:t>kept</w:t><w:tab/><w:t>after tab</w:t></w:r>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t> inserted</w:t></w:r></w:ins><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "</w:body></w:document>"
    )
    notes = f"<w:footnotes {WORDS}><w:footnote><w:p><w:r><w:t>a footnote</w:t></w:r></w:p></w:footnote></w:footnotes>"
    data = with_part(docx([]), "word/document.xml", body.encode())
    data = with_part(data, "word/footnotes.xml", notes.encode())
    assert read(data, "zip").pages[0].text == "kept after tab inserted\nin a control\na footnote"


@pytest.mark.parametrize("kind", ["txt", "rtf", "zip", "pdf", "doc"])
def test_empty(kind: str) -> None:
    with pytest.raises(UnusableMedia, match="empty"):
        read(b"", kind)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"   \n\t ", "txt"), (docx([]), "zip"), (shapes_pdf(), "pdf"), ("——……".encode(), "txt")],
    ids=["spaces", "docx", "shapes", "dashes"],
)
def test_without_text(data: bytes, kind: str) -> None:
    with pytest.raises(UnusableMedia, match="no text"):
        read(data, kind)


@pytest.mark.parametrize(
    "data",
    [b"\0\1\2\3" * 500, bytes(range(256)) * 10, random.Random(0).randbytes(5000), b"\x89PNG\r\n\x1a\n" + b"\0" * 50],
)
def test_binary_is_no_text(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        read(data, "txt")


def test_legacy_word() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    with pytest.raises(UnsupportedMedia, match=r"\.docx"):
        read(ole + "WordDocument".encode("utf-16-le"), "doc")
    with pytest.raises(UnusableMedia, match="encrypted"):
        read(ole + "EncryptedPackage".encode("utf-16-le"), "doc")


def test_encrypted_pdf() -> None:
    with pytest.raises(UnusableMedia, match="encrypted"):
        read(pdf([("text", FOX)], password="secret"), "pdf")
    assert FOX.strip() in read(pdf([("text", FOX)], password=""), "pdf").pages[0].text, "opens without a password"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated(share: float) -> None:
    for data, kind in ((pdf([("text", FOX * 40)]), "pdf"), (docx([("text", FOX * 40)]), "zip")):
        with pytest.raises(UnusableMedia, match="damaged"):
            read(data[: int(len(data) * share)], kind)


def test_another_kind_of_zip() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(UnsupportedMedia, match="not a docx, xlsx, pptx or odt"):
        read(buffer.getvalue(), "zip")


def test_zip_bombs() -> None:
    honest = with_part(docx([]), "word/document.xml", b"<a>" + b" " * (40 << 20) + b"</a>")
    assert len(honest) < 1 << 20
    entry = honest.rindex(b"word/document.xml") - 46
    lying = honest[: entry + 24] + struct.pack("<I", 1000) + honest[entry + 28 :]
    for bomb in (honest, lying):
        before = psutil.Process().memory_info().rss
        with pytest.raises(UnusableMedia, match=r"unpacks|damaged"):
            read(bomb, "zip", inflated_bytes=30 << 20)
        assert psutil.Process().memory_info().rss - before < 10 << 20


def test_many_entries() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(10_001):
            archive.writestr(f"{index}", "")
    with pytest.raises(UnusableMedia, match="unpacks"):
        read(buffer.getvalue(), "zip")


def test_entities(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    for definitions, use in (
        (f'<!ENTITY l0 "ha">{laughs}', "&l11;"),
        (f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">', "&x;"),
    ):
        body = (
            f"<!DOCTYPE w:document [{definitions}]><w:document {WORDS}><w:body>"
            f"<w:p><w:r><w:t>text {use}</w:t></w:r></w:p></w:body></w:document>"
        )
        with pytest.raises(UnusableMedia, match="damaged"):
            read(with_part(docx([]), "word/document.xml", body.encode()), "zip")


def test_deep_nesting_is_refused_or_read() -> None:
    body = f"<w:document {WORDS}><w:body>{'<w:tbl><w:tr><w:tc>' * 3000}"
    with pytest.raises(UnusableMedia, match="damaged"):
        read(with_part(docx([]), "word/document.xml", body.encode()), "zip")


def test_limits() -> None:
    data = plain_pdf([FOX[:60]] * 30)
    assert len(read(data, "pdf", pages=30).pages) == 30
    with pytest.raises(UnusableMedia, match="30 pages"):
        read(data, "pdf", pages=29)
    with pytest.raises(UnusableMedia, match="1,000 characters"):
        read(data, "pdf", characters=1_000)
    with pytest.raises(UnusableMedia, match="memory"):
        read((FOX * 50_000).encode(), "txt", memory_bytes=64 << 20)


def test_slow_files_are_given_up() -> None:
    data = plain_pdf(["\n".join([FOX] * 55)] * 400)
    start = time.monotonic()
    with pytest.raises(UnusableMedia, match=r"longer|damaged"):
        read(data, "pdf", seconds=1)
    assert time.monotonic() - start < 3


def test_cancelled_reading_leaves_no_process() -> None:
    fractions: list[float | None] = []

    def stop(fraction: float | None, stage: str, /) -> None:
        assert stage == "reading"
        fractions.append(fraction)
        if fraction and fraction > 0.1:
            raise Cancelled("gone")

    data = plain_pdf(["\n".join([FOX] * 55)] * 200)
    before = psutil.Process().children()  # a running graph, if other tests have started one
    with pytest.raises(Cancelled):
        read_document(io.BytesIO(data), "a.pdf", "pdf", progress=stop)
    assert psutil.Process().children() == before
    assert len(fractions) < 100


def test_mutated_files_never_surprise() -> None:
    """Bytes changed at random in a sound file: either it is still read, or refused by name."""
    dice = random.Random(7)
    outcomes = []
    parts = [("heading", "Report"), ("text", FOX * 4), ("table", TABLE)]
    for data, kind in ((pdf(parts), "pdf"), (docx(parts), "zip")):
        for _ in range(5):
            mutated = bytearray(data)
            for _ in range(dice.choice([1, 10, 100])):
                mutated[dice.randrange(len(mutated))] = dice.randrange(256)
            try:
                outcomes.append(type(read(bytes(mutated), kind)).__name__)
            except SensoriumError as error:
                outcomes.append(f"{type(error).__name__}: {error.message}")
    print(*outcomes, sep="\n")
    assert all(re.fullmatch(r"Document|(UnusableMedia|UnsupportedMedia): [^/]+", outcome) for outcome in outcomes)

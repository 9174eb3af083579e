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
from tests.pipelines.knowledge.drawn import annotated_pdf, docx, form_pdf, pdf, plain_pdf, shapes_pdf, with_part

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
        ("utf-16-be", "Knowledge graphs are structured."),
        ("utf-16-be", "lighthouse"),
        ("utf-16-le", "知识图谱是一种结构化的方式，用来表示知识。"),
        ("utf-32-be", "Knowledge graphs, 知识图谱。"),
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


def test_utf8_that_is_cut_within_a_character_is_utf8() -> None:
    assert read((CHINESE * 3).encode()[:-1], "txt").pages[0].text == (CHINESE * 3)[:-1]


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


def test_a_table_keeps_its_head_overleaf() -> None:
    rows = [
        ["Region", "Q1", "Q2"],
        *([f"Town {i}", str(3 * i), str(7 * i)] for i in range(1, 60)),
        ["Bergen", "", "30"],
    ]
    document = read(pdf([("heading", "Sales"), ("table", rows)]), "pdf")
    assert len(document.pages) == 2
    assert blocks(document, 1)[-2:] == [
        ("row", "Region: Town 59 | Q1: 177 | Q2: 413"),
        ("row", "Region: Bergen | Q2: 30"),
    ]


FIELDS = (
    "Name: Sigrid Haugen | Born: 14 May 1991 | Boat: Double scull | Days: Tuesday | [x] Can swim 200 m | "
    "[ ] Needs a vest | [x] By card | [ ] In cash"
)


def test_forms_and_annotations_of_a_pdf() -> None:
    plain, noted = read(form_pdf(), "pdf"), read(annotated_pdf(form_pdf()), "pdf")
    assert blocks(plain) == [("row", FIELDS), ("text", "Club"), ("row", "Remarks: Rows on calm days.")]
    assert "4711" not in plain.pages[0].text, "a password"
    assert blocks(noted) == [
        ("row", f"{FIELDS} | Club: Bergen Roklubb | Remarks: Rows on calm days."),
        ("text", "Paid in March."),
    ]
    assert (plain.not_read, noted.not_read) == ((), ("embedded file: prices.xlsx",))


def test_a_picture_beside_text_is_said_not_to_be_read() -> None:
    from PIL import Image as Pictures
    from reportlab.platypus import Image

    def picture(side: int) -> Image:
        file = io.BytesIO()
        Pictures.new("RGB", (20, 20), "red").save(file, "PNG")
        return Image(file, side, side)

    data = pdf([("text", FOX), ("flowable", picture(200)), ("flowable", picture(8)), ("page", None), ("text", FOX)])
    assert read(data, "pdf").not_read == ("1 picture",), "and an ornament is none"


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


SHAPES = (
    f'{WORDS} xmlns:v="urn:schemas-microsoft-com:vml"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_text_boxes_notes_and_fields_of_a_docx_are_found_once_each() -> None:
    drawn, older = (f"<w:txbxContent>{paragraph(text)}</w:txbxContent>" for text in ("A drawn box", "An old box"))
    table = f"<w:tbl><w:tr><w:tc>{paragraph('A')}</w:tc><w:tc>{paragraph('B')}</w:tc></w:tr></w:tbl>"
    body = (
        f"<w:document {SHAPES}><w:body><w:p><w:r><w:t>Anchor</w:t></w:r><w:r><mc:AlternateContent>"
        f'<mc:Choice Requires="wps"><w:drawing><wps:txbx>{drawn}</wps:txbx></w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict><v:textbox>{drawn}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
        f"<w:p><w:r><w:pict><v:textbox>{older}</v:textbox></w:pict></w:r></w:p>"
        f"<w:p><w:r><w:pict><v:textbox><w:txbxContent>{table}</w:txbxContent></v:textbox></w:pict></w:r></w:p>"
        '<w:p><w:r><w:pict><v:textpath string="Regatta 2024"/></w:pict></w:r></w:p>'
        "<w:p><w:r><w:fldChar><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData></w:fldChar></w:r>"
        "<w:r><w:t>Swims</w:t></w:r></w:p>"
        '<w:p><w:r><w:fldChar><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="Single"/>'
        '<w:listEntry w:val="Double"/></w:ddList></w:ffData></w:fldChar></w:r></w:p>'
        "<w:p><w:r><w:ruby><w:rt><w:r><w:t>zhī</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>知</w:t></w:r></w:rubyBase>"
        "</w:ruby></w:r><w:r><w:t>识</w:t></w:r></w:p></w:body></w:document>"
    )
    data = with_part(docx([]), "word/document.xml", body.encode())
    for name in ("footnote", "endnote", "comment"):
        notes = f"<w:{name}s {WORDS}><w:{name}>{paragraph(f'One {name}')}</w:{name}></w:{name}s>"
        data = with_part(data, f"word/{name}s.xml", notes.encode())
    assert [text for _, text in blocks(read(data, "zip"))] == [
        "Anchor", "A drawn box", "An old box", "A | B", "Regatta 2024", "[x] Swims", "Double", "知识",
        "One footnote", "One endnote", "One comment",
    ]  # fmt: skip


def test_headers_and_footers_of_a_docx_are_found_once() -> None:
    from docx import Document as Word

    document = Word()
    for index in range(2):
        section = document.sections[0] if not index else document.add_section()
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        section.header.paragraphs[0].text, section.footer.paragraphs[0].text = "Bergen Roklubb", "Page 1 of 2"
        document.add_paragraph(f"Section {index}.")
    file = io.BytesIO()
    document.save(file)
    assert [text for _, text in blocks(read(file.getvalue(), "zip"))] == ["Section 0.", "Section 1.", "Bergen Roklubb"]


def test_merged_and_marked_heads_of_a_docx() -> None:
    span, head = '<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>', "<w:trPr><w:tblHeader/></w:trPr>"
    begins, goes_on = '<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>', "<w:tcPr><w:vMerge/></w:tcPr>"
    rows = [
        (head, [("", "Region"), (span, "2023")]),
        (head, [("", ""), ("", "Q1"), ("", "Q2")]),
        ("", [(begins, "Bergen"), ("", "12"), ("", "30")]),
        ("", [(goes_on, ""), ("", "13"), ("", "31")]),
    ]
    table = "".join(
        f"<w:tr>{mark}{''.join(f'<w:tc>{style}{paragraph(text)}</w:tc>' for style, text in cells)}</w:tr>"
        for mark, cells in rows
    )
    body = f"<w:document {WORDS}><w:body><w:tbl>{table}</w:tbl></w:body></w:document>"
    assert blocks(read(with_part(docx([]), "word/document.xml", body.encode()), "zip")) == [
        ("row", "Region: Bergen | 2023 Q1: 12 | 2023 Q2: 30"),
        ("row", "Region: Bergen | 2023 Q1: 13 | 2023 Q2: 31"),
    ]


def test_heads_of_a_docx_in_bold_or_by_the_style_of_the_table() -> None:
    from docx import Document as Word

    rows = [["Name", "Club"], ["Anna", "Oslo"]]
    for style, is_bold in (("Table Grid", False), ("Table Grid", True), ("Light Grid Accent 1", False)):
        document = Word()
        table = document.add_table(2, 2, style=style)
        for row, cells in zip(table.rows, rows, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.paragraphs[0].add_run(text).bold = is_bold and cells is rows[0]
        file = io.BytesIO()
        document.save(file)
        is_headed = is_bold or style != "Table Grid"
        expected = ["Name: Anna | Club: Oslo"] if is_headed else ["Name | Club", "Anna | Oslo"]
        assert [text for _, text in blocks(read(file.getvalue(), "zip"))] == expected


def renamed(source: bytes, changes: dict[str, str]) -> bytes:
    """A ZIP file with text replaced in the names and in the contents of its entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data, target = old.read(name), name
            for before, after in changes.items():
                data, target = data.replace(before.encode(), after.encode()), target.replace(before, after)
            new.writestr(target, data)
    return buffer.getvalue()


def test_parts_of_a_docx_are_found_by_their_relationships() -> None:
    plain = docx([("heading", "Report"), ("text", FOX)])
    web = renamed(plain, {"document.xml": "document2.xml", "styles.xml": "styles2.xml"})
    backslashes = renamed(plain, {})
    with zipfile.ZipFile(io.BytesIO(plain)) as old, zipfile.ZipFile(file := io.BytesIO(), "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("/", "\\").upper(), old.read(name))
    for data in (web, backslashes, file.getvalue()):
        assert blocks(read(data, "zip")) == [("heading", "Report"), ("text", FOX.strip())]


def test_what_a_docx_holds_besides_text_is_said() -> None:
    from docx import Document as Word
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (20, 20)).save(picture, "PNG")
    document = Word()
    document.add_paragraph(FOX)
    document.add_picture(picture)
    file = io.BytesIO()
    document.save(file)
    relation = '<Relationship Id="x1" Type="http://x/package" Target="embeddings/prices.xlsx"/></Relationships>'
    data = renamed(file.getvalue(), {"</Relationships>": relation})
    assert read(data, "zip").not_read == ("1 picture", "embedded file: prices.xlsx")


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


def test_a_pdf_without_its_last_bytes_or_with_others_behind_is_read() -> None:
    data = pdf([("text", FOX * 40)] * 2)
    marker = data.rindex(b"%%EOF")
    for odd in (
        data + b"x" * 8192,
        data[: marker + 4],
        data[:marker],
        data[: data.rindex(b"startxref")],
        b"HTTP/1.1\n" + data,
    ):
        assert read(odd, "pdf").pages == read(data, "pdf").pages


def test_a_pdf_that_lacks_pages_of_its_tree_is_damaged() -> None:
    """With its tree in front, as a PDF for the web has it, PDFium opens what is left."""
    kids = " ".join(f"{number} 0 R" for number in range(3, 13))
    catalog, tree = "1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n", "<</Type/Pages/Count 10/Kids"
    head = f"%PDF-1.4\n{catalog}2 0 obj {tree}[{kids}]>> endobj\n"
    trailer = "trailer <</Root 1 0 R/Size 13>>\nstartxref\n0\n%%EOF\n"
    pages = [f"{number} 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>> endobj\n" for number in range(3, 13)]
    for left in ("".join(pages[:5]), "".join(pages)[:250]):
        with pytest.raises(UnusableMedia, match="damaged"):
            read((head + trailer + left).encode(), "pdf")
    with pytest.raises(UnusableMedia, match="no text"):
        read((head + trailer + "".join(pages)).encode(), "pdf")


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

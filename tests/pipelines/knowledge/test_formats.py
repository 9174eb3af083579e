"""The formats people have beside txt, docx and pdf: what is in them comes out, and what is wrong with them is said."""

import datetime
import io
import time
import zipfile
from collections.abc import Callable, Sequence

import openpyxl
import pytest
from openpyxl.comments import Comment
from pptx import Presentation
from pptx.util import Inches

from pipelines.contracts.errors import UnsupportedMedia, UnusableMedia
from pipelines.knowledge.parsing.documents import Document
from pipelines.media.kinds import HEAD_BYTES, sniff
from tests.pipelines.knowledge.drawn import odt, with_part
from tests.pipelines.knowledge.test_documents import blocks, read

SALES = [["Region", "Q1", "Q2"], ["Oslo", "10", "11"], ["Bergen", "12", "30"]]
ROWS = [("row", "Region: Oslo | Q1: 10 | Q2: 11"), ("row", "Region: Bergen | Q1: 12 | Q2: 30")]


def sniffed(data: bytes, **limits: int) -> Document:
    """Read as what its bytes say it is."""
    kind = sniff(data[:HEAD_BYTES])
    assert kind is not None
    assert "document" in kind.families
    return read(data, kind.name, **limits)


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    sales = book.active
    sales.title = "Sales 2023"
    for row in [["Region", "Q1", "Q2"], ["Oslo", 10, 11], ["Bergen", 12, 30]]:
        sales.append(row)
    members = book.create_sheet("Members")
    members.append(["Rowers and what they pay"])
    members.merge_cells("A1:D1")
    members.append(["Name", "Born", "Fee", "Share"])
    members.append(["Sigrid Haugen", datetime.date(1991, 5, 14), 1200.5, 0.125])
    members["C3"].number_format, members["D3"].number_format = '#,##0.00 "kr"', "0.0%"
    members["A3"].comment = Comment("Captain since 2020", "Bo")
    members["A5"] = "The boathouse opens at 6."
    book.create_sheet("Empty")
    return saved(book.save)


def pptx() -> bytes:
    show = Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text, first.placeholders[1].text = "Budget", "The boathouse costs 3 million kroner."
    first.notes_slide.notes_text_frame.text = "Mention the loan."
    second = show.slides.add_slide(show.slide_layouts[6])
    table = second.shapes.add_table(3, 3, Inches(1), Inches(1), Inches(5), Inches(2)).table
    for row, cells in zip(table.rows, SALES, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(4), Inches(3), Inches(1)).text_frame.text = "In a group"
    return saved(show.save)


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def test_workbooks() -> None:
    document = sniffed(xlsx())
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert blocks(document) == [("heading", "Sales 2023"), *ROWS]
    assert blocks(document, 1) == [
        ("heading", "Members"),
        ("heading", "Rowers and what they pay"),
        ("row", "Name: Sigrid Haugen | Born: 1991-05-14 | Fee: 1,200.50 kr | Share: 12.5%"),
        ("text", "The boathouse opens at 6."),
        ("text", "Captain since 2020"),
    ]


def test_presentations() -> None:
    document = sniffed(pptx())
    assert [page.number for page in document.pages] == [1, 2]
    assert blocks(document) == [
        ("heading", "Budget"),
        ("text", "The boathouse costs 3 million kroner."),
        ("text", "Mention the loan."),
    ]
    assert blocks(document, 1) == [("heading", "Slide 2"), *ROWS, ("text", "In a group")]


def test_comments_of_a_presentation() -> None:
    from tests.pipelines.knowledge.test_documents import renamed

    relation = '<Relationship Id="x1" Type="http://x/comments" Target="../comments/comment1.xml"/></Relationships>'
    comment = '<p:cmLst xmlns:p="p"><p:cm><p:text>Is this still true?</p:text></p:cm></p:cmLst>'
    data = with_part(renamed(pptx(), {"</Relationships>": relation}), "ppt/comments/comment1.xml", comment.encode())
    assert blocks(sniffed(data))[-1] == ("text", "Is this still true?")


def test_opendocument() -> None:
    document = sniffed(odt())
    assert blocks(document) == [
        ("heading", "Club rules"),
        ("text", "The boat was built in 1932."),
        ("text", "By Nils Aas."),
        ("text", "Check this."),
        ("text", "- Wear a vest"),
        ("text", "In a box"),
        ("row", "Region: Bergen | Q1: 12"),
        ("row", "Region: Bergen | Q1: 13"),
    ]
    assert document.not_read == ("1 picture",)


def test_rich_text() -> None:
    body = (
        rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Times;}{\f1\fnil\fcharset134 SimSun;}}"
        rb"{\stylesheet{\ql Normal;}{\s1\outlinelevel0 heading 1;}}{\info{\title Not shown}}"
        rb"\pard\s1 Club rules\par\pard\plain The boat was built in Bod\'f8"
        rb"{\footnote\pard\plain By Nils Aas.} in 1932.\par"
        rb"{\f1\'d6\'aa\'ca\'b6\'cd\'bc\'c6\'d7}\u8212?\u-10179?\u-8704? end\par"
        rb"\trowd\cellx1\pard\intbl Region\cell Q1\cell Q2\cell\row\trowd\pard\intbl Oslo\cell 10\cell 11\cell\row"
        rb"\trowd\pard\intbl Bergen\cell 12\cell 30\cell\row\pard {\listtext\'b7\tab}Wear a vest\par"
        rb"{\*\unknown gone}{\pict\pngblip 89504e47}{\v hidden}{\deleted cut}"
        rb"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt\pard In a box\par}}}"
        rb"{\field{\*\fldinst PAGE}{\fldrslt shown}}\par}"
    )
    document = sniffed(body)
    assert blocks(document) == [
        ("heading", "Club rules"),
        ("text", "The boat was built in Bodø in 1932."),
        ("text", "知识图谱—😀 end"),
        *ROWS,
        ("text", "- Wear a vest"),
        ("text", "shown"),
        ("text", "By Nils Aas."),
        ("text", "In a box"),
    ]
    assert document.not_read == ("1 picture",)
    with pytest.raises(UnusableMedia, match="damaged"):
        sniffed(body[: len(body) // 2])


HTML = """<!DOCTYPE html><html><head><meta charset="gbk"><title>Club rules</title><style>p {{}}</style></head><body>
<h1>Club rules</h1><script>var gone = 1</script><p>Boats are <b>returned</b> clean.<br>{}</p>
<ul><li>Wear a vest</li></ul><table><tr><th rowspan=2>Region</th><th colspan=2>2023</th></tr>
<tr><th>Q1</th><th>Q2</th></tr>
<tr><td rowspan=2>Bergen</td><td>12</td><td>30</td></tr><tr><td>13</td><td>31</td></tr></table><div hidden>gone</div>
<img src="data:image/png;base64,AAAA">after</body></html>"""


def test_hypertext() -> None:
    for encoding in ("utf-8", "gbk"):
        document = sniffed(HTML.format("永远如此。").encode(encoding))
        assert blocks(document) == [
            ("heading", "Club rules"),
            ("text", "Boats are returned clean.\n永远如此。"),
            ("text", "- Wear a vest"),
            ("row", "Region: Bergen | 2023 Q1: 12 | 2023 Q2: 30"),
            ("row", "Region: Bergen | 2023 Q1: 13 | 2023 Q2: 31"),
            ("text", "after"),
        ]
        assert document.not_read == ("1 picture",)


def test_markdown() -> None:
    text = (
        "# Handbook\n\nSome **bold** text with a [link](https://x.org/a) and `code`.\n\nSetext\n------\n\n"
        "| Region | Q1 | Q2 |\n|:-------|---:|----|\n| Oslo   | 10 | 11 |\n| Bergen | 12 | 30 |\n\n"
        "- item one\n\n```python\n# no heading\n```\n"
    )
    assert blocks(sniffed(text.encode())) == [
        ("heading", "Handbook"),
        ("text", "Some bold text with a link (https://x.org/a) and code."),
        ("heading", "Setext"),
        *ROWS,
        ("text", "- item one"),
        ("text", "# no heading"),
    ]


def joined(delimiter: str, rows: Sequence[Sequence[str]] = SALES) -> str:
    return "\r\n".join(delimiter.join(row) for row in rows)


@pytest.mark.parametrize(
    "data",
    [
        joined(",").encode(),
        joined(";").encode("utf-8-sig"),
        joined(";").encode("utf-16"),
        b"sep=;\r\n" + joined(";").encode(),
        joined("\t").encode(),
        joined(",", [[f'"{cell}"' for cell in row] for row in SALES]).encode(),
    ],
    ids=["commas", "semicolons", "utf-16", "hint", "tabs", "quotes"],
)
def test_comma_separated_values(data: bytes) -> None:
    assert blocks(sniffed(data)) == ROWS


def test_cells_of_comma_separated_values_may_hold_anything() -> None:
    found = blocks(sniffed(b'name,city\nAnna,"Oslo,\nNorway"\nBo,"the ""Bergen"" club"\n'))
    assert found == [("row", "name: Anna | city: Oslo, Norway"), ("row", 'name: Bo | city: the "Bergen" club')]


@pytest.mark.parametrize(
    "text",
    [
        "In 2022, the library lent 48,200 books.\nIn 2023, it lent 51,900 books.",
        "Sold 48,200 books\nLent 51,900 books",
        "Dear Anna,\nthank you for the boat",
    ],
)
def test_prose_with_commas_is_no_table(text: str) -> None:
    assert {kind for kind, _ in blocks(sniffed(text.encode()))} <= {"text", "heading"}


def test_tables_of_plain_text() -> None:
    text = (
        "Region      Q1      Q2\nOslo        10      11\nBergen      12      30\n\n"
        "Region   | Q1 | Q2\n---------+----+---\nOslo     | 10 | 11\nBergen   | 12 | 30\n\n"
        "地区        一季度    二季度\n奥斯陆      10\n卑尔根                30\n\n"
        "The fox.  It jumps over the lazy dog and then goes home to sleep for\na long time.  Then it wakes up.\n\n"
        "1.  First\n2.  Second\n"
    )
    assert blocks(sniffed(text.encode())) == [
        *ROWS,
        *ROWS,
        ("row", "地区: 奥斯陆 | 一季度: 10"),
        ("row", "地区: 卑尔根 | 二季度: 30"),
        (
            "text",
            "The fox. It jumps over the lazy dog and then goes home to sleep for a long time. Then it wakes up.",
        ),
        ("text", "1. First"),
        ("text", "2. Second"),
    ]


PACKAGES = {
    "xlsx": (xlsx, "xl/worksheets/sheet1.xml"),
    "pptx": (pptx, "ppt/slides/slide1.xml"),
    "odt": (odt, "content.xml"),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_damaged_packages_and_bombs(name: str) -> None:
    made, part = PACKAGES[name]
    data = made()
    broken, typed = b"<a><b></a>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"
    for damaged in (data[: len(data) // 2], with_part(data, part, broken), with_part(data, part, typed)):
        with pytest.raises(UnusableMedia, match="damaged"):
            sniffed(damaged)
    with pytest.raises(UnusableMedia, match="unpacks"):
        sniffed(with_part(data, part, b"<a>" + b" " * (40 << 20) + b"</a>"), inflated_bytes=30 << 20)


def test_encrypted_packages() -> None:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        '<m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry></m:manifest>'
    )
    with pytest.raises(UnusableMedia, match="encrypted"):
        sniffed(with_part(odt(), "META-INF/manifest.xml", manifest.encode()))
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(UnusableMedia, match="encrypted"):
        sniffed(office)


@pytest.mark.parametrize(("stream", "extension"), [("Workbook", "xlsx"), ("PowerPoint Document", "pptx")])
def test_old_office_formats_say_what_to_do(stream: str, extension: str) -> None:
    with pytest.raises(UnsupportedMedia, match=rf"\.{extension}"):
        sniffed(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + stream.encode("utf-16-le"))


def test_sheets_that_unfold_and_pages_that_nest_end_soon() -> None:
    far = "".join(f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>' for row in range(1, 1_048_576, 50))
    merged = "".join(f'<mergeCell ref="A1:XFD{row}"/>' for row in range(1, 2_000))
    first = '<row r="1"><c t="inlineStr"><is><t>x</t></is></c></row>'
    sheet = f"<worksheet><sheetData>{first}{far}</sheetData><mergeCells>{merged}</mergeCells></worksheet>"
    began = time.monotonic()
    sniffed(with_part(xlsx(), "xl/worksheets/sheet1.xml", sheet.encode()))
    with pytest.raises(UnusableMedia):
        sniffed(b"<html>" + b"<div>" * 200_000 + b"x")
    with pytest.raises(UnusableMedia, match="characters"):
        sniffed(joined(",", SALES * 3_000).encode(), characters=50_000)
    assert time.monotonic() - began < 60


def test_a_zip_of_no_document() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(UnsupportedMedia, match="not a docx, xlsx, pptx or odt"):
        sniffed(file.getvalue())

"""Documents that the tests draw, so that every word of them is known."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
STYLES = getSampleStyleSheet()
CHINESE = ParagraphStyle("chinese", fontName="STSong-Light", fontSize=11, leading=16, wordWrap="CJK")
GRID = [("GRID", (0, 0), (-1, -1), 1, 0)]

Part = tuple[str, Any]


def pdf(parts: Sequence[Part], *, password: str | None = None) -> bytes:
    """A PDF of ("title" | "heading" | "text" | "chinese", text), ("table", rows), ("page", None), ("flowable", any)."""
    buffer = io.BytesIO()
    encryption = StandardEncryption(password, ownerPassword="owner") if password is not None else None
    flow: list[Flowable] = []
    for kind, content in parts:
        match kind:
            case "page":
                flow.append(PageBreak())
            case "table":
                flow += [Table(content, style=GRID), Spacer(1, 12)]
            case "flowable":
                flow.append(content)
            case "chinese":
                flow += [Paragraph(content, CHINESE), Spacer(1, 12)]
            case _:
                style = {"title": "Title", "heading": "Heading2", "text": "Normal"}[kind]
                flow += [Paragraph(content, STYLES[style]), Spacer(1, 8)]
    document = SimpleDocTemplate(buffer, pagesize=A4, encrypt=encryption, invariant=True)
    document.build(flow, onLaterPages=lambda canvas, layout: canvas.drawString(290, 30, str(layout.page)))
    return buffer.getvalue()


def form_pdf() -> bytes:
    """A filled form: text fields, choices, check boxes, radio buttons; labels beside, above and behind them."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    labels = {
        "Name:": (50, 750), "Born:": (50, 720), "Boat:": (50, 690), "Days:": (50, 660), "Can swim 200 m": (70, 602),
        "Needs a vest": (70, 582), "By card": (70, 562), "In cash": (170, 562), "Club": (50, 520), "Remarks": (50, 490),
    }  # fmt: skip
    for text, (x, y) in labels.items():
        canvas.drawString(x, y, text)
    form = canvas.acroForm
    form.textfield(name="name", value="Sigrid Haugen", x=150, y=745, width=200, height=20)
    form.textfield(name="born", value="14 May 1991", x=150, y=715, width=200, height=20)
    form.textfield(name="pin", value="4711", fieldFlags="password", x=400, y=745, width=100, height=20)
    boats, days = ["Single", "Double scull", "Quad"], ["Monday", "Tuesday"]
    form.choice(name="boat", value="Double scull", options=boats, x=150, y=685, width=200, height=20)
    form.listbox(name="days", value="Tuesday", options=days, x=150, y=630, width=200, height=40)
    form.checkbox(name="swims", checked=True, x=50, y=600, size=12)
    form.checkbox(name="vest", checked=False, x=50, y=580, size=12)
    form.radio(name="pay", value="card", selected=True, x=50, y=560, size=12)
    form.radio(name="pay", value="cash", selected=False, x=150, y=560, size=12)
    form.textfield(name="remarks", value="Rows on calm days.", x=50, y=460, width=300, height=20)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def annotated_pdf(source: bytes) -> bytes:
    """A PDF with text that was typed onto its first page at (150, 515), a note, and an embedded file."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    document = pypdfium2.PdfDocument(source)
    page = document[0]
    for kind, left, contents in (
        (pdfium.FPDF_ANNOT_FREETEXT, 150, "Bergen Roklubb"),
        (pdfium.FPDF_ANNOT_TEXT, 500, "Paid in March."),
    ):
        annotation = pdfium.FPDFPage_CreateAnnot(page, kind)
        pdfium.FPDFAnnot_SetRect(annotation, pdfium.FS_RECTF(left, 535, left + 80, 515))
        text = f"{contents}\0".encode("utf-16-le")
        wide = (pdfium.FPDF_WCHAR * (len(text) // 2)).from_buffer_copy(text)
        pdfium.FPDFAnnot_SetStringValue(annotation, b"Contents", wide)
        pdfium.FPDFPage_CloseAnnot(annotation)
    document.new_attachment("prices.xlsx").set_data(b"not read")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def plain_pdf(pages: Sequence[str]) -> bytes:
    """A PDF of the given lines, page by page, at the least cost."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    for page in pages:
        for index, line in enumerate(page.splitlines()):
            canvas.drawString(50, 800 - 14 * index, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def shapes_pdf() -> bytes:
    """A PDF of shapes alone: neither text nor an image."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.rect(100, 100, 200, 300, fill=1)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def docx(parts: Sequence[Part]) -> bytes:
    """A Word document of ("heading" | "text" | "item", text) and ("table", rows)."""
    from docx import Document

    document = Document()
    for kind, content in parts:
        match kind:
            case "heading":
                document.add_heading(content, 1)
            case "item":
                document.add_paragraph(content, style="List Bullet")
            case "table":
                table = document.add_table(0, len(content[0]))
                for cells in content:
                    for cell, text in zip(table.add_row().cells, cells, strict=True):
                        cell.text = text
            case _:
                document.add_paragraph(content)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def with_part(source: bytes, name: str, content: bytes) -> bytes:
    """A docx with one of its parts replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return buffer.getvalue()


ODT = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><office:body><office:text>
<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region>
</text:tracked-changes><text:h text:outline-level="1">Club rules</text:h>
<text:p>The boat <text:span>was<text:s text:c="2"/>built</text:span> in 1932<text:note><text:note-citation>1
</text:note-citation><text:note-body><text:p>By Nils Aas.</text:p></text:note-body></text:note>.<office:annotation>
<dc:creator>Me</dc:creator><text:p>Check this.</text:p></office:annotation></text:p>
<text:list><text:list-item><text:p>Wear a vest</text:p></text:list-item></text:list>
<text:p><draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame>
<draw:frame><draw:image xlink:href="Pictures/1.png"/></draw:frame></text:p>
<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Region</text:p></table:table-cell>
<table:table-cell><text:p>Q1</text:p></table:table-cell></table:table-row></table:table-header-rows>
<table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>Bergen</text:p></table:table-cell>
<table:table-cell><text:p>12</text:p></table:table-cell></table:table-row>
<table:table-row><table:covered-table-cell/><table:table-cell><text:p>13</text:p></table:table-cell></table:table-row>
</table:table></office:text></office:body></office:document-content>"""


def odt() -> bytes:
    """An OpenDocument text with one of everything: a note, a comment, a list, a text box, a picture, a table."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        archive.writestr("content.xml", ODT)
    return buffer.getvalue()

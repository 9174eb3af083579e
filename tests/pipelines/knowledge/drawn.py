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
    """A PDF of ("title" | "heading" | "text" | "chinese", text), ("table", rows) and ("page", None)."""
    buffer = io.BytesIO()
    encryption = StandardEncryption(password, ownerPassword="owner") if password is not None else None
    flow: list[Flowable] = []
    for kind, content in parts:
        match kind:
            case "page":
                flow.append(PageBreak())
            case "table":
                flow += [Table(content, style=GRID), Spacer(1, 12)]
            case "chinese":
                flow += [Paragraph(content, CHINESE), Spacer(1, 12)]
            case _:
                style = {"title": "Title", "heading": "Heading2", "text": "Normal"}[kind]
                flow += [Paragraph(content, STYLES[style]), Spacer(1, 8)]
    document = SimpleDocTemplate(buffer, pagesize=A4, encrypt=encryption, invariant=True)
    document.build(flow, onLaterPages=lambda canvas, layout: canvas.drawString(290, 30, str(layout.page)))
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

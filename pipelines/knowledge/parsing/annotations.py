"""What stands on a PDF page besides its text, by PDFium: filled form fields, typewritten text, comments.

A field is put beside its label: the text to its left, for check boxes and radio buttons to their right, or else above
it. Where there is none, its own name is the label. Passwords and signatures are not read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.knowledge.parsing.layout import Span

_MAX_GAP = 25  # between a label and its field, in heights of the label; above it, lines
_MAX_LINES_ABOVE = 3
_PASSWORD = 1 << 13
_FREE_TEXT, _FILE, _WIDGET = 3, 17, 20
_REMARKS = frozenset({1, *range(4, 16)})  # notes, and what is drawn or marked with a remark
_RECORDINGS = frozenset({18, 19, 21, 26})


@dataclass(frozen=True)
class _Field:
    """Text at a place; `is_box` if it says whether a box is ticked, with its label behind it."""

    value: str
    name: str
    left: float
    bottom: float
    right: float
    top: float
    is_box: bool = False

    def alone(self) -> Span:
        """It without a label on the page."""
        text = f"{self.value} {self.name}" if self.is_box else f"{self.name}: {self.value}"
        text = text if self.name else self.value
        return Span(text, self.left, self.right, self.bottom, self.top, bold=False, is_field=True)


@dataclass(frozen=True)
class Annotations:
    """The annotations of a page: what is filled in, the remarks, and what cannot be read."""

    fields: tuple[_Field, ...]
    remarks: tuple[str, ...]
    not_read: tuple[str, ...]

    @classmethod
    def read(cls, document: Any, page: Any) -> "Annotations":
        """The annotations of a page of a document whose forms are initialized."""
        import pypdfium2.raw as pdfium

        fields: list[_Field] = []
        remarks: list[str] = []
        not_read: list[str] = []
        for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
            annotation = pdfium.FPDFPage_GetAnnot(page, index)
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if pdfium.FPDFAnnot_GetFlags(annotation) & pdfium.FPDF_ANNOT_FLAG_HIDDEN:
                pass
            elif kind == _WIDGET and document.formenv:
                fields += _form_field(annotation, document.formenv)
            elif kind == _FREE_TEXT:
                fields += _placed(annotation, _contents(annotation))
            elif kind in _REMARKS:
                remarks.append(_contents(annotation))
            elif kind == _FILE:
                not_read.append("attachment")
            elif kind in _RECORDINGS:
                not_read.append("recording")
            pdfium.FPDFPage_CloseAnnot(annotation)
        return cls(tuple(fields), tuple(filter(None, remarks)), tuple(not_read))

    def beside(self, spans: Sequence[Span]) -> list[Span]:
        """The page's text with each field at its label."""
        labeled: defaultdict[int, list[_Field]] = defaultdict(list)
        alone = []
        for field in self.fields:
            label = _label(field, spans, self.fields)
            if label is None:
                alone.append(field.alone())
            else:
                labeled[label].append(field)
        return [_filled(span, labeled[i]) if i in labeled else span for i, span in enumerate(spans)] + alone


def _filled(label: Span, fields: Sequence[_Field]) -> Span:
    """A label with what is filled in."""
    values = "; ".join(field.value for field in fields)
    text = f"{values} {label.text}" if fields[0].is_box else f"{label.text.rstrip(' :：._…')}: {values}"
    return replace(label, text=text, right=max(label.right, fields[-1].right), is_field=True)


def _label(field: _Field, spans: Sequence[Span], fields: Sequence[_Field]) -> int | None:
    """The index of the span that a field belongs to; `None` if there is none near."""
    beside, above = [], []
    for index, span in enumerate(spans):
        is_left = span.left < field.left
        gap = field.left - span.right if is_left else span.left - field.right
        is_level = field.bottom - span.height / 2 < span.middle < field.top + span.height / 2
        is_near = is_level and gap < _MAX_GAP * span.height and not _is_between(field, span, fields)
        if is_near and (is_left or field.is_box):
            beside.append((field.is_box and is_left, abs(gap), index))
        rise = span.bottom - field.top
        is_over = span.left < field.right and field.left < span.right
        if is_over and -span.height / 2 < rise < _MAX_LINES_ABOVE * span.height:
            above.append((rise, index))
    if beside:
        return min(beside)[-1]
    return min(above)[-1] if above else None


def _is_between(field: _Field, span: Span, fields: Sequence[_Field]) -> bool:
    """Whether another field stands between a field and a text on its line, to which the text then belongs."""
    left, right = sorted([(field.left, field.right), (span.left, span.right)])
    return any(
        other is not field
        and other.bottom < field.top
        and field.bottom < other.top
        and left[0] < other.left
        and other.right < right[1]
        for other in fields
    )


def _form_field(annotation: Any, form: Any) -> Iterator[_Field]:
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    name = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _string(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)
    if kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}:
        value = "[x]" if pdfium.FPDFAnnot_IsChecked(form, annotation) else "[ ]"
        yield from _placed(annotation, value, name, is_box=True)
    elif kind in {pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}:
        chosen = [
            _string(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, index)
            for index in range(pdfium.FPDFAnnot_GetOptionCount(form, annotation))
            if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index)
        ]
        value = "; ".join(chosen) or _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
        yield from _placed(annotation, value, name)
    elif kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and not (
        pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD
    ):
        yield from _placed(annotation, _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation), name)


def _placed(annotation: Any, value: str, name: str = "", *, is_box: bool = False) -> Iterator[_Field]:
    """A field at its place, unless it is empty."""
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    if (value := " ".join(value.split())) and pdfium.FPDFAnnot_GetRect(annotation, box):
        (left, right), (bottom, top) = sorted((box.left, box.right)), sorted((box.bottom, box.top))
        yield _Field(value, name, left, bottom, right, top, is_box=is_box)


def _contents(annotation: Any) -> str:
    import pypdfium2.raw as pdfium

    return _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents").strip()


def _string(read: Callable[..., int], *arguments: Any) -> str:
    """What a function of PDFium writes into a buffer."""
    import pypdfium2.raw as pdfium

    size = read(*arguments, None, 0)
    buffer = (pdfium.FPDF_WCHAR * (size // 2 + 1))()
    read(*arguments, buffer, size)
    return bytes(buffer)[:size].decode("utf-16-le", "replace").rstrip("\0")

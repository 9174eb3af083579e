"""Code and documentation use the field's words, in American spelling."""

import re

from tests.serving import ROOT

FORBIDDEN = re.compile(
    r"(?i:\b(?:anew|told|licence|sounds?|to be had|what is alike|served here|behaviours?|neighbours?|honours?)\b)"
    r"|\b_?(?:MOST|LARGEST|LONGEST|WIDEST|LEAST|SMALLEST|LOOK_EVERY)_|(?i:colour|catalogue|centre)|\b[Gg]rey(?!_closing)"
    r"|(?:recogn|normal|initial|serial|optim|organ|summar)is(?:e|ed|es|ing|ation)\b|\b(?:None|True|False) where\b"
)
ALLOWED = {  # older clients read the field `licence`
    "deployments/http/schemas/openai.py",
    "deployments/http/routes/openai/models.py",
}
PENDING = ("pipelines/object_tracking/",)  # not rewritten yet
FILES = [ROOT / "README.md", *(p for d in ("pipelines", "deployments") for p in (ROOT / d).rglob("*.py"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in FILES}


def test_no_foreign_word() -> None:
    found = [
        f"{name}:{number}: {word[0]}"
        for name, text in TEXTS.items()
        if name not in ALLOWED and not name.startswith(PENDING)
        for number, line in enumerate(text.splitlines(), 1)
        if (word := FORBIDDEN.search(line))
    ]
    assert not found, "\n".join(found)


def test_an_image_is_seldom_a_picture() -> None:
    whole = "".join(TEXTS.values()).lower()
    assert 8 * whole.count("picture") < whole.count("image")

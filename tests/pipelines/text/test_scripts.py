"""Scripts: which of them are written without spaces, and how wide they are."""

import pytest

from pipelines.text.scripts import is_latin, is_unspaced, join, width


@pytest.mark.parametrize(
    ("character", "expected"), [*((c, True) for c in "中あカ한ภ、。，"), *((c, False) for c in "aßжب1.—")]
)
def test_scripts_without_spaces(character: str, expected: bool) -> None:
    assert is_unspaced(character) is expected


def test_lines_of_one_text_are_joined_as_their_script_is_written() -> None:
    assert join("the first", "line") == "the first line"
    assert join("第一行，", "第二行") == "第一行，第二行"
    assert join("使用", "Python") == "使用Python"
    assert join("", "alone") == join("alone", "") == "alone"


def test_width_and_script() -> None:
    assert width("ab中文") == 6
    assert [is_latin(text) for text in ("Größe?", "知识图谱", "什么是 Kubernetes？", "что это", "123")] == [
        True,
        False,
        True,
        False,
        False,
    ]

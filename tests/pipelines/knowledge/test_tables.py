"""Tables as text: every cell behind its head, whatever format the table came in."""

import pytest

from pipelines.knowledge.parsing.tables import lines

SALES = [["Region", "Q1", "Q2", "Q3", "Q4"], ["Oslo", "10", "11", "12", "13"], ["Bergen", "12", "30", "14", "15"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            SALES,
            [
                "Region: Oslo | Q1: 10 | Q2: 11 | Q3: 12 | Q4: 13",
                "Region: Bergen | Q1: 12 | Q2: 30 | Q3: 14 | Q4: 15",
            ],
        ),
        (
            [["Region", "2023"], ["Bergen", "12"], ["Oslo", "30"]],
            ["Region: Bergen | 2023: 12", "Region: Oslo | 2023: 30"],
        ),
        # Amounts that could be years, under heads that count up.
        ([["Region", "2022", "2023"], ["Bergen", "1840", "1990"]], ["Region: Bergen | 2022: 1840 | 2023: 1990"]),
        ([["Week", "1", "2"], ["Anna", "4", "5"]], ["Week: Anna | 1: 4 | 2: 5"]),
        (
            [["器材", "重量"], ["皮划艇", "18 公斤"], ["赛艇", "14 公斤"]],
            ["器材: 皮划艇 | 重量: 18 公斤", "器材: 赛艇 | 重量: 14 公斤"],
        ),
        (
            [["器材", "重量"], ["皮划艇", "十八公斤"], ["赛艇", "二十公斤"]],
            ["器材: 皮划艇 | 重量: 十八公斤", "器材: 赛艇 | 重量: 二十公斤"],
        ),
        (
            [["Boat 1", "Q1", "Q2"], ["Kayak 7", "4", "5"], ["Canoe 8", "3", "1"]],
            ["Boat 1: Kayak 7 | Q1: 4 | Q2: 5", "Boat 1: Canoe 8 | Q1: 3 | Q2: 1"],
        ),
        ([["Name", "City", "Club"], ["Anna", "Oslo", "NSR"]], ["Name: Anna | City: Oslo | Club: NSR"]),
        (
            [["Date", "Tide"], ["2024-05-01", "high"], ["2024-05-02", "low"]],
            ["Date: 2024-05-01 | Tide: high", "Date: 2024-05-02 | Tide: low"],
        ),
    ],
    ids=["quarters", "a year", "years", "weeks", "chinese", "numerals", "more of the same", "names", "dates"],
)
def test_a_first_row_that_names_what_is_below_it_is_the_head(rows: list[list[str]], expected: list[str]) -> None:
    assert list(lines(rows)) == expected


@pytest.mark.parametrize(
    "rows",
    [
        [["Name", "Sigrid Haugen"], ["Born", "14 May 1991"], ["Boat", "Double scull"]],
        [["Length", "12 m"], ["Width", "3 m"], ["Height", "4 m"]],
        [["Anna", "31", "Oslo"], ["Bo", "42", "Bergen"]],
        [["Founded", "1923"]],
        [["Kayak", "12", "2"], ["Canoe", "14", "3"]],
    ],
    ids=["a form", "measures", "people", "one row", "boats"],
)
def test_a_table_without_a_head_keeps_its_cells(rows: list[list[str]]) -> None:
    assert list(lines(rows)) == [" | ".join(row) for row in rows]


def test_heads_that_the_format_marks() -> None:
    two = [["Region", "2023", "2023"], ["Region", "Q1", "Q2"], ["Bergen", "12", "30"]]
    assert list(lines(two, 2)) == list(lines(two)) == ["Region: Bergen | 2023 Q1: 12 | 2023 Q2: 30"]
    assert list(lines([["12 kg", "Anna"], ["14 kg", "Bo"]], 1)) == ["12 kg: 14 kg | Anna: Bo"]
    assert list(lines([["Name", "City", "Club"], ["Anna", "Oslo", "NSR"]], 0)) == [
        "Name | City | Club",
        "Anna | Oslo | NSR",
    ]


def test_captions_empty_cells_and_repeated_heads() -> None:
    rows = [["Sales of 2023", "", ""], ["Region", "Q1", "Q2"], ["North", "North", "North"], ["Bergen", "", "30"]]
    assert list(lines([*rows, ["Region", "Q1", "Q2"], ["", "", ""], ["Oslo", "1", ""]])) == [
        "Sales of 2023",
        "North",
        "Region: Bergen | Q2: 30",
        "Region: Oslo | Q1: 1",
    ]
    assert list(lines([["", "Q1", "Q2"], ["Bergen", "12", "30"]])) == ["Bergen | Q1: 12 | Q2: 30"]
    assert list(lines([["a|b", "c | d", "e\nf"]])) == ["a/b | c; d | e f"], "no cell holds what parts the cells"
    assert list(lines([])) == list(lines([["", " "]])) == []

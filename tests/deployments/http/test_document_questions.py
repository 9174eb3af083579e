"""Questions over documents as people send them: tables in any format, money of any country, ways to reach somebody."""

import csv
import io
import uuid
from collections.abc import Callable, Sequence

import httpx
import pytest

from tests.pipelines.knowledge.drawn import docx, pdf

HEADING = "Boats sold by region in 2023"
NOTE = "The yard of Madrid was closed in 2019."
SALES = [
    ["Region", "Q1", "Q2", "Q3", "Q4"],
    ["Bergen", "120", "340", "560", "780"],
    ["Oslo", "210", "430", "650", "870"],
    ["Tromsø", "111", "222", "333", "444"],
]
PRODUCTS = [
    ["名称", "重量", "价格"],
    ["皮划艇", "12 kg", "4,500克朗"],
    ["桨板", "9 kg", "3,200克朗"],
    ["帆船", "240 kg", "98,000克朗"],
]
YARD = """The boat yard

Members who store a boat in the northern hall pay 4,200 kroner per season.
Visitors who berth at the long pier are charged NOK 310 a night, electricity included.
A course in splicing ropes costs 1,900 SEK for beginners, with all material.
For the guided tour of the old wharf a group pays 2,500 rubles.
The lockers beside the changing rooms cost 25 zloty, to be paid by the month.
Towels are lent by the attendant for 3,000 won each.
The regional regatta of last summer was attended by 95 boats from six countries.
The office of the yard is reached at office@boatyard.example on all days.
The workshop answers at +47 55 12 34 56 in the morning.
The sauna was opened on 2019-05-14 by the mayor.
The nurse on duty opens the gate for ambulances and other late arrivals.
Storage of trailers behind the shed costs Rs. 450 for members of the club.
"""
MANUAL = """船厂手册

双人艇售价为48000挪威克朗。毛巾要3000韩元。日票为₹450。船厂有95条船。
办公室的联系方式为 office@boatyard.example。维修车间请拨打 0571-8765 4321。
船厂于2003年5月14日成立。船厂位于杭州市西湖区龙井路8号。船厂由李明华创办。游客中心早上八点半开门。
码头距火车站3.5公里。桑拿房每次最多使用40分钟。泳池水温为28度。新会员须年满十六岁。
因为台风，夏季赛改到九月举行。租船时先填写登记表，再交押金。船厂每周一休息。仓库在三楼。
"""


def as_html(rows: Sequence[Sequence[str]]) -> bytes:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<!DOCTYPE html><html><body><h2>{HEADING}</h2><table>{body}</table><p>{NOTE}</p></body></html>".encode()


def as_md(rows: Sequence[Sequence[str]]) -> bytes:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"## {HEADING}", "", head, "|---" * len(rows[0]) + "|", *body, "", NOTE]).encode()


def as_txt(rows: Sequence[Sequence[str]]) -> bytes:
    return "\n".join([HEADING, "", *("".join(cell.ljust(12) for cell in row) for row in rows), "", NOTE]).encode()


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def as_docx(rows: Sequence[Sequence[str]]) -> bytes:
    return docx([("heading", HEADING), ("table", rows), ("text", NOTE)])


def as_pdf(rows: Sequence[Sequence[str]]) -> bytes:
    return pdf([("heading", HEADING), ("table", rows), ("text", NOTE)])


@pytest.fixture(scope="module")
def categories() -> dict[bytes, str]:
    """Those of the documents that are uploaded."""
    return {}


@pytest.fixture
def ask(client: httpx.Client, categories: dict[bytes, str]) -> Callable[[str, bytes, str], dict]:
    """Uploads a document into a category of its own, once, and asks it."""

    def asked(name: str, data: bytes, question: str) -> dict:
        if data not in categories:
            categories[data] = f"test {uuid.uuid4()}"
            sent = {"fileToUpload": (name, data)}
            place = {"category": categories[data]}
            answer = client.post("/uploadFile/uploadLearningFile", params=place, files=sent)
            assert answer.json() == {"result": True}, answer.text
        messages = [{"role": "user", "content": question}]
        answer = client.post("/v1/chat/completions", json={"messages": messages, "category": categories[data]})
        return {"text": answer.json()["choices"][0]["message"]["content"], "sources": answer.json()["sources"]}

    return asked


MAKERS = {"docx": as_docx, "pdf": as_pdf, "txt": as_txt, "md": as_md, "html": as_html, "csv": as_csv}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_row_is_quoted_with_its_heads(ask, kind):
    name, data = f"sales.{kind}", MAKERS[kind](SALES)
    for question, cells in {
        "What were the sales of Bergen in Q2?": ("Bergen", "Q2: 340"),
        "What did Tromsø sell in Q4?": ("Tromsø", "Q4: 444"),
        "What were the sales in Q1 in Oslo?": ("Oslo", "Q1: 210"),
    }.items():
        answer = ask(name, data, question)
        assert all(cell in answer["text"] for cell in cells), (question, answer)
        assert answer["text"].count("Q1: ") == 1, (question, answer)
    for question in (
        "What were the sales of Madrid in Q2?",
        "what were the sales of madrid in q2?",
        "What were the sales of Bergen in Q5?",
        "What is the population of Bergen?",
    ):
        answer = ask(name, data, question)
        assert (answer["sources"], "do not answer" in answer["text"]) == ([], True), (question, answer)


def test_rows_of_a_chinese_table(ask):
    word = docx([("heading", "产品目录"), ("table", PRODUCTS)])
    text = "产品目录\n\n".encode() + "\n".join("\t".join(row[:2]) for row in PRODUCTS).encode()
    for name, data in {"产品.docx": word, "产品.txt": text}.items():
        assert "名称: 皮划艇 | 重量: 12 kg" in ask(name, data, "皮划艇有多重？")["text"]
        assert "240 kg" in ask(name, data, "帆船的重量是多少？")["text"]
        assert ask(name, data, "独木舟有多重？")["sources"] == []
    assert "价格: 3,200克朗" in ask("产品.docx", word, "桨板多少钱？")["text"]


LAMPS = [["Model", "Price (NOK)", "Weight"], ["Alder", "450", "1.2 kg"], ["Birch", "610", "2.1 kg"]]
BUILT = [["Yard", "2021", "2022"], ["Bergen", "12", "15"], ["Oslo", "30", "33"]]
STAFF = [["Name", "City"], ["Alice Berg", "Paris"], ["Bob Dahl", "Rome"], ["Carol Ek", "Turin"]]


@pytest.mark.parametrize(
    ("rows", "question", "expected"),
    [
        (LAMPS, "How much does the Birch cost?", "Price (NOK): 610"),
        (LAMPS, "How much does the Cedar cost?", None),
        (BUILT, "How many boats did Oslo build in 2022?", "2022: 33"),
        (BUILT, "How many boats did Oslo build in 2025?", None),
        (STAFF, "Where does Alice Berg live?", "Alice Berg | Paris"),
        (STAFF, "Where does Dan Falk live?", None),
    ],
)
def test_heads_with_units_heads_of_years_and_no_heads(ask, rows, question, expected):
    check(ask("table.docx", docx([("heading", "The yard"), ("table", rows)]), question), expected)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How much does it cost to store a boat in the northern hall?", "4,200 kroner"),
        ("How much do visitors pay at the long pier?", "NOK 310"),
        ("How much is charged for a course in splicing?", "1,900 SEK"),
        ("How much does the guided tour of the wharf cost?", "2,500 rubles"),
        ("How much do the lockers cost?", "25 zloty"),
        ("How much does the attendant charge for towels?", "3,000 won"),
        ("How much did the regional regatta cost?", None),
        ("How many boats attended the regatta?", "95 boats"),
        ("What is the e-mail address of the office?", "office@boatyard.example"),
        ("How can I reach the office by email?", "office@boatyard.example"),
        ("What is the telephone number of the workshop?", "+47 55 12 34 56"),
        ("What is the e-mail address of the workshop?", None),
        ("What is the phone number of the sauna?", None),
        ("Who opens the gate for ambulances?", "nurse"),
        ("How much does storage of trailers cost?", "Rs. 450"),
    ],
)
def test_money_and_ways_to_reach_somebody(ask, question, expected):
    check(ask("yard.txt", YARD.encode(), question), expected)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("双人艇多少钱？", "48000挪威克朗"),
        ("毛巾几块钱？", "3000韩元"),
        ("日票什么价？", "₹450"),
        ("拖车多少钱？", None),
        ("办公室的邮箱是什么？", "office@boatyard.example"),
        ("维修车间的电话号码是多少？", "0571-8765 4321"),
        ("桑拿房的电话是多少？", None),
        ("维修车间的邮箱是什么？", None),
        ("船厂是哪一天成立的？", "5月14日"),
        ("船厂在哪儿？", "龙井路"),
        ("船厂是谁创办的？", "李明华"),
        ("游客中心几点开门？", "八点半"),
        ("游客中心啥时候开门？", "八点半"),
        ("码头距火车站有多远？", "3.5公里"),
        ("桑拿房能用多久？", "40分钟"),
        ("泳池的水有多热？", "28度"),
        ("新会员要多大？", "十六岁"),
        ("夏季赛为什么改期？", "台风"),
        ("怎么租船？", "登记表"),
        ("船厂周几休息？", "每周一"),
        ("仓库在几楼？", "三楼"),
        ("船厂有几艘船？", "95条船"),
    ],
)
def test_chinese_question_words(ask, question, expected):
    check(ask("手册.txt", MANUAL.encode(), question), expected)


def check(answer: dict, expected: str | None) -> None:
    if expected is None:
        assert answer["sources"] == [], answer
    else:
        assert expected in answer["text"], answer
        assert answer["sources"], answer

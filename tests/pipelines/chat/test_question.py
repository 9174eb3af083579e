import pytest

from pipelines.chat.extractive.question import Question


@pytest.mark.parametrize(
    ("question", "yes", "no"),
    [
        ("How much does storage cost?", "It is 4,200 kroner a year.", "There are 95 boats."),
        ("How much does storage cost?", "Model: A | Price: 450", "Model: A | Weight: 450"),
        ("存船多少钱？", "每年4200挪威克朗。", "共有95条船。"),
        (
            "What is the e-mail address of the office?",
            "Office: info@harbour.example",
            "It is at 5 Quay Street.",
        ),
        ("How can I reach the office by email?", "Office: info@harbour.example", "The office has 5 rooms."),
        ("What is the phone number of the office?", "Office: +47 55 12 34 56", "The office opened on 2019-05-14."),
        ("What is the fax number?", "Fax 112", "It has 112 rooms."),
        ("What's the website of the harbour?", "See www.harbour.example for more.", "See page 5."),
        ("办公室的邮箱是什么？", "办公室：info@harbour.example", "办公室在二楼。"),
        ("办公室电话？", "请拨打0571-87654321。", "办公室成立于2003年。"),
        ("码头在哪儿？", "码头位于龙井路。", "码头于2003年开放。"),
        ("船厂周几休息？", "船厂周一休息。", "船厂由他创办。"),
        ("啥时候开门？", "早上八点。", "由他创办。"),
        ("谁开门？", "由李明华开门。", "9:00"),
        ("毛巾几块钱？", "毛巾3000韩元。", "毛巾长2米。"),
        ("水有多热？", "28度。", "很好。"),
        ("When is it closed?", "It stays closed until further notice.", "It is closed."),
        ("Who opens the gate?", "The nurse opens the gate.", "The gate opens."),
    ],
)
def test_what_shows_the_kind_of_thing_that_is_asked_for(question, yes, no):
    read = Question.read(question)
    assert read.is_met_by(yes)
    assert not read.is_met_by(no)


@pytest.mark.parametrize(
    "question",
    [
        "How do I change my e-mail address?",
        "When was the telephone installed?",
        "What is the weight of the phone?",
        "Can I book by telephone?",
        "How many e-mail addresses may I have?",
        "邮箱有多大？",
        "电话费多少钱？",
    ],
)
def test_questions_about_telephones_and_mail_ask_for_no_number(question):
    assert not Question.read(question).is_exact


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("What is the e-mail address of the office?", ("offic",)),
        ("办公室的邮箱是什么？", ("办公", "公室")),
        ("船桨多贵？", ("船桨",)),
        ("船厂有几艘船？", ("船厂", "船")),
        ("仓库在几楼？", ("仓库",)),
        ("哪座城市？", ()),
        ("为啥关门？", ("关门",)),
        ("船厂星期几休息？", ("船厂", "休息")),
        ("What did Tromsø sell in Q5?", ("tromsø", "sell", "q5")),
    ],
)
def test_words_that_only_ask_are_no_terms(question, terms):
    assert Question.read(question).terms == terms


def test_names_are_of_any_latin_letters_and_of_figures():
    assert Question.read("What did Tromsø and Łódź sell in Q5?").names == {"tromsø", "łodz", "q5"}

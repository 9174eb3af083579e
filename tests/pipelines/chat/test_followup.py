import pytest

from pipelines.chat import Message


def conversation(*turns):
    return tuple(Message("user" if i % 2 == 0 else "assistant", turn) for i, turn in enumerate(turns))


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (("What was the revenue in 2022?", "5 million.", "and in 2023?"), "What was the revenue in 2023?"),
        (
            ("What was the revenue in 2022?", "", "What about operating profit?"),
            "What was the operating profit in 2022?",
        ),
        (("What was the revenue?", "", "and in 2021?"), "What was the revenue in 2021?"),
        (("How many people work in Oslo?", "", "And in Turin?"), "How many people work in Turin?"),
        (
            ("How long is the warranty for the pump?", "", "what about the seals?"),
            "How long is the warranty for the seals?",
        ),
        (("What is the flow rate of the AL 500?", "", "How heavy is it?"), "How heavy is the AL 500?"),
        (("Who is the chief executive?", "Helen Strand is.", "When did she join?"), "When did Helen Strand join?"),
        (("Why was the warehouse closed?", "", "When?"), "When was the warehouse closed?"),
        (("What does the yellow lamp mean?", "", "And the red one?"), "What does the red lamp mean?"),
        (("What was the revenue in 2021?", "", "in 2022?", "", "and in 2023?"), "What was the revenue in 2023?"),
        (("2022年的营业收入是多少？", "500万。", "那2023年呢？"), "2023年的营业收入是多少？"),
        (("2022年的营业收入是多少？", "", "净利润呢？"), "2022年净利润是多少？"),
        (("产假有几天？", "", "陪产假呢？"), "陪产假有几天？"),
        (("普通员工的住宿标准是多少？", "", "那部门经理呢？"), "部门经理的住宿标准是多少？"),
        (("公司食堂在哪里？", "", "它几点开门？"), "公司食堂几点开门？"),
    ],
)
async def test_a_follow_up_stands_alone(turns, expected, model):
    assert await model.rewrite_query(conversation(*turns)) == expected


@pytest.mark.parametrize(
    "question",
    [
        "How often should the strainer be cleaned?",
        "How long does it take to repair the pump?",
        "Is it allowed to smoke?",
        "If the pump hums, what is wrong with it?",
        "What is the price of the pump and its cable?",
        "工资什么时候发放？",
        "其他城市的住宿标准是多少？",
    ],
)
async def test_a_question_that_stands_alone_stays_as_it_is(question, model):
    assert await model.rewrite_query(conversation("What is the warranty?", "Two years.", question)) == question
    assert await model.rewrite_query(conversation(question)) == question


async def test_no_question_is_no_query(model):
    assert await model.rewrite_query(()) == ""
    assert await model.rewrite_query((Message("assistant", "Hi"),)) == ""

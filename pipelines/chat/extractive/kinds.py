"""The kinds of things that questions ask for, and the signs by which a sentence shows that it holds one."""

import re
from enum import Enum

from pipelines.chat.extractive.words import HAN


class Sought(Enum):
    """The kind of thing that answers: a sentence without one hardly does."""

    MONEY = "money"
    SHARE = "share"
    QUANTITY = "quantity"
    TIME = "time"
    PERSON = "person"
    PLACE = "place"
    REASON = "reason"
    ANYTHING = "anything"


CERTAIN = frozenset({Sought.MONEY, Sought.SHARE, Sought.QUANTITY, Sought.TIME, Sought.PERSON})
"""Kinds whose signs are certain: there is a figure or a name, or there is none."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_MONTH = (
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?(?= \d))\b"
)
_HAN_NUMBER = "[一二两三四五六七八九十百千万亿半]"

# The first that is asked decides.
_QUESTIONS = {
    Sought.MONEY: _any(
        r"\b(?:price|costs?|fees?|salary|budget) (?:of|for|per|to)\b",
        r"\bhow much\b.*\b(?:costs?|pay|paid|spend|spent|charged?|earn|earned|price|fee|fine)\b",
        r"\bhow expensive\b|多少[钱元]|价格|费用是多少|收费标准",
    ),
    Sought.SHARE: _any(
        r"\b(?:what|which) (?:percent|percentage|proportion|share|fraction)\b", "百分之[几多]|比例|占比|百分比"
    ),
    Sought.QUANTITY: _any(
        r"\bhow (?:many|much|long|far|tall|old|fast|often|frequently|heavy|high|large|big|deep|wide|thick)\b",
        r"\bhow (?:hot|cold|warm|loud|strong|bright|powerful)\b",
        r"\b(?:what|which) (?:number|amount)\b|多少|多[长久大高远重深宽快]|几(?![时点月])",
    ),
    Sought.TIME: _any(
        r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|time|century|decade|quarter|deadline)\b",
        "何时|何年|什么时[候间]|几[时点月]|哪一?[年天月]",
    ),
    Sought.PERSON: _any(r"\bwho(?:se|m)?\b", "谁|何人|哪位|什么人"),
    Sought.PLACE: _any(
        r"\bwhere\b|\b(?:what|which) (?:city|country|town|place|state|street|room|floor|location)\b",
        "[哪在][里儿]|何[处地]|什么地方|在哪|哪个?(?:城市|国家|省|市|区|县|楼|地)",
    ),
    Sought.REASON: _any(
        r"\bwhy\b|\bfor what reason\b|\bwhat (?:was |is )?the (?:reason|cause)\b", "为什么|为何|原因|什么缘故"
    ),
}

_ANSWERS = {
    Sought.MONEY: _any(
        r"[$€£¥￥]|\b(?:usd|eur|gbp|chf|cny|rmb|dollars?|euros?|pounds?|francs?|cents?|pence|yen|yuan|rupees?|crowns?)\b",
        r"\b(?:free|thousands?|millions?|billions?)\b|免费|费",
        rf"(?:\d|{_HAN_NUMBER})\s*(?:元|美元|欧元|块|角)",
    ),
    Sought.SHARE: _any(
        r"%|\bper ?cent\b|\b(?:half|thirds?|quarters?|fifths?|majority|all|most|none|one in)\b",
        "百分之|成|全部|一半|分之",
    ),
    Sought.QUANTITY: _any(
        r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen)\b",
        r"\b(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)(?:y|ies)\b",
        r"\b(?:hundreds?|thousands?|millions?|billions?|dozens?|once|twice|half|single|every|each|no)\b",
        r"\b(?:daily|weekly|monthly|annually|yearly|hourly)\b",
        _HAN_NUMBER,
    ),
    Sought.TIME: _any(
        rf"(?<![\d.,:])\d(?![\d.,:]*\s*[{HAN}])",  # in Chinese a figure is a time by the word after it
        _MONTH,
        r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:spring|summer|autumn|winter|after|before|during)\b",
        r"\b(?:century|centuries|decade|quarter|year|week|month|day|morning|afternoon|evening|night|noon|midnight)s?\b",
        rf"(?:\d|{_HAN_NUMBER})\s*(?:[年月日天号点时周秒分]|小时|季度|世纪)|[春夏秋冬]季",
        "周[一二三四五六日末]|星期|每[年月日天周]|早上|上午|中午|下午|晚上|凌晨|当[天日月年]|[前后]|期间|节",
    ),
    Sought.PLACE: _any(
        r"\b(?:in|at|on|near|from|to|into|inside|outside|behind|under|above|next|between|within|through|of|along)\b",
        r"\b(?:across|around|beside|over|below)\b",
        f"[{HAN}]",
    ),
    Sought.REASON: _any(
        r"\b(?:because|due|owing|since|as|so|for|to|thanks|result\w*|caus\w*|reason\w*|reflect\w*|driven|avoid\w*)\b",
        r"\b(?:prevent\w*|therefore|led|otherwise|by|if|would|could|can|may)\b",
        "因|由于|为|以便|以免|导致|防止|避免|所以|故",
    ),
    # A capital that does not begin the sentence, or a word for a person by the look of it; so case matters.
    Sought.PERSON: re.compile(
        rf"(?<=\w\W)[A-Z]\w|(?<=\w\W\W)[A-Z]\w|\b\w{{3,}}(?:ers?|ors?|ists?|ians?|ants?|ees?|men|women|man|woman)\b"
        rf"|\b(?:people|persons?|staff|president|company|students?|children|adults?|chief|head|he|she|they)\b|[{HAN}]{{2}}"
    ),
}

_DATE = _any(
    rf"\b\d{{1,2}} {_MONTH}|(?:{_MONTH}|\b(?:spring|summer|autumn|fall|winter)) (?:1[5-9]|20)\d\d\b",
    r"\b(?:in|since|of|and|from|until|by|after|before|during) (?:1[5-9]|20)\d\d\b|(?:1[5-9]|20)\d\d年",
)

MEASURES = {
    "deep": "depth",
    "heavy": "weigh weight kilogram kilograms kg tonnes grams",
    "high": "height rise rises tall",
    "tall": "height high",
    "wide": "width broad",
    "thick": "thickness",
    "fast": "speed knots",
    "hot": "temperature degrees",
    "cold": "temperature degrees",
    "warm": "temperature degrees",
    "loud": "noise decibel decibels",
    "old": "age aged founded built planted",
    "expensive": "price cost costs",
    "large": "size area big",
    "big": "size area large",
    "strong": "strength",
    "bright": "brightness",
    "powerful": "power",
}
"""What is asked by an adjective ("how heavy"), and the other words by which an answer may say it."""

# Words that only say which kind is sought, and nothing of the matter: no sentence need repeat them.
_BARE = _any(
    r"\bhow (?:long|often|frequently|soon|far)\b",
    r"\b(?:what|which) (?:year|date|day|month|time|city|country|place|percentage|percent|number|amount)\b(?: of\b)?",
    "的?(?:地方|地点|位置)(?=在哪|是哪|是什么|$)|的?时间(?=是什么时候|是何时|是几)|的?原因(?=是什么|何在)",
    "的?(?:金额|数量|人数)(?=是多少|有多少)",
)


def sought_by(question: str) -> Sought:
    """The kind of thing that a question asks for."""
    return next((kind for kind, asked in _QUESTIONS.items() if asked.search(question)), Sought.ANYTHING)


def without_kind(question: str) -> str:
    """The question without the words that only name the kind: "what year" goes, "which pump" stays."""
    return _BARE.sub(" ", question)


def shows(kind: Sought, sentence: str) -> bool:
    """Whether there is a sign of such a thing in the sentence; a date is no sign of a quantity."""
    if kind in (Sought.QUANTITY, Sought.MONEY):
        sentence = _DATE.sub(" ", sentence)
    return kind is Sought.ANYTHING or _ANSWERS[kind].search(sentence) is not None

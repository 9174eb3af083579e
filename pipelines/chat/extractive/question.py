"""What a question asks for: its terms, its names, and the sign by which a sentence shows that it can answer."""

import calendar
from dataclasses import dataclass

import regex

from pipelines.text.scripts import HAN
from pipelines.text.terms import query_terms, stem

_YEAR = regex.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_WORD = regex.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*|\d+(?:[.,]\d+)*")
_CHINESE_GRAMMAR = regex.compile("[的是谁吗呢什哪怎几]|多少|如何")
_MONTH = rf"\b(?:{'|'.join(calendar.month_name[1:])}|(?:{'|'.join(calendar.month_abbr[1:])}|Sept)\.?(?= \d))\b"
_NUMBER_WORD = (
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|"
    r"nine)ty|hundreds?|thousands?|[mb]illions?|dozens?|once|twice|half|thirds?|quarters?|every|each|no|all|most|none)\b"
)
# What is asked for, and the sign of it: a sentence without one hardly answers. The first that is asked decides.
_MONEY = (
    r"\bhow (?:expensive|much\b.*\b(?:costs?|pay|paid|spen[dt]|charged?|earn|price|fee|fine))\b|多少[钱元]|价格"
    r"|\b(?:price|costs?|fees?|salary|budget) (?:of|for|per|to)\b|收费标准",
    r"\p{Sc}|\b(?:usd|eur|gbp|chf|cny|rmb|dollars?|euros?|pounds?|francs?|cents?|pence|yen|yuan|free)\b|费"
    r"|[\d\p{Numeric_Type=Numeric}半]\s*[美欧]?[元块角]",
)
_TIME = (
    r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|time|century|decade|quarter|deadline)\b"
    "|[何哪]一?[时年天月]|什么时[候间]|几[时点月]",
    rf"(?<![\d.,:])\d(?![\d.,:]*\s*{HAN})|{_MONTH}|\b(?:{'|'.join(calendar.day_name)})s?\b"
    r"|\b(?:centur(?:y|ies)|decades?|years?|weeks?|months?|days?|morning|afternoon|evening|night|noon|midnight|spring"
    r"|summer|autumn|winter|after|before|during)\b"
    r"|[\d\p{Numeric_Type=Numeric}半]\s*(?:[年月日天号点时周秒分]|小时|季度|世纪)|[春夏秋冬]季|[周每]\w|星期|早上|[上中下]午|晚上|[前后]|期间|节",
)
_PERSON = (
    r"\bwho(?:se|m)?\b|谁|何人|哪位|什么人",
    # A capital that does not begin the sentence, or a word for a person by the look of it.
    r"(?-i:(?<=\w\W{1,2})[A-Z])\w|\b\w{3,}(?:[eo]rs?|ists?|ians?|ants?|ees?|m[ea]n)\b"
    rf"|\b(?:people|persons?|staff|president|company|students?|children|adults?|chief|head|he|she|they)\b|{HAN}{{2}}",
)
_QUANTITY = (
    r"\bhow (?:many|much|long|far|tall|old|fast|often|frequently|heavy|high|large|big|deep|wide|thick|hot|cold)\b"
    r"|\b(?:what|which) (?:number|amount|percent\w*|proportion|share)\b|多[少长久大高远重深宽快厚]|几(?![时点月])|比例",
    rf"(?<!\d)(?!(?:1[5-9]|20)\d\d\b)\d|{_NUMBER_WORD}|\b(?:dai|week|month|annual|year|hour)ly\b"
    r"|[\p{Numeric_Type=Numeric}半]",
)
_KINDS = tuple(
    (regex.compile(asked, regex.IGNORECASE), regex.compile(sign, regex.IGNORECASE))
    for asked, sign in (_MONEY, _TIME, _PERSON, _QUANTITY)
)
# Words that only say which kind is sought: no sentence need repeat them.
_BARE = regex.compile(
    r"(?i)\bhow (?:long|often|frequently|soon|far)\b"
    r"|\b(?:what|which) (?:year|date|day|month|time|city|country|place|percent(?:age)?|number|amount)\b(?: of\b)?"
)


@dataclass(frozen=True)
class Question:
    """A question, read.

    Attributes:
        text: as asked.
        terms: the words that carry meaning, in order, each once.
        names: those of the terms that are written as names ("Berlin", "CFO").
        sign: what a sentence shows if it holds the kind of thing that is asked for; `None` if that may be anything.
        is_chinese: whether it is in Chinese.
    """

    text: str
    terms: tuple[str, ...]
    names: set[str]
    sign: "regex.Pattern[str] | None"
    is_chinese: bool

    @classmethod
    def read(cls, text: str) -> "Question":
        """Read one question that stands alone."""
        terms = tuple(dict.fromkeys(query_terms(_BARE.sub(" ", text))))
        sign = next((sign for asked, sign in _KINDS if asked.search(text)), None)
        names = {stem(word) for word in _WORD.findall(text)[1:] if word[0].isupper()}
        return cls(text, terms, names.intersection(terms), sign, is_chinese(text))

    def is_met_by(self, sentence: str) -> bool:
        """Whether the sentence has the sign of what is asked for in a word or figure that the question does not say."""
        if self.sign is None:
            return True
        left = _WORD.sub(lambda match: "x" if stem(match.group()) in self.terms else match.group(), sentence)
        return self.sign.search(left) is not None


def is_chinese(text: str) -> bool:
    """Whether the text is Chinese: by its grammar, whatever foreign names it holds, or by most of its characters."""
    return bool(_CHINESE_GRAMMAR.search(text)) or 2 * len(regex.findall(HAN, text)) > len(
        regex.findall("[A-Za-z]", text)
    )


def years(text: str) -> frozenset[str]:
    """The years that a text names in digits."""
    return frozenset(_YEAR.findall(text))

"""What a question asks for: its words, its numbers and names, and the kind of thing that would answer it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pipelines.chat.reading.words import HAN, is_chinese, number, plain, stem, terms


class Sought(Enum):
    """The kind of thing that answers: a sentence without one hardly answers."""

    PERSON = "person"
    TIME = "time"
    QUANTITY = "quantity"
    MONEY = "money"
    SHARE = "share"
    PLACE = "place"
    REASON = "reason"
    ANYTHING = "anything"


_KINDS = [
    (Sought.MONEY, r"\b(?:price|cost|costs|fee|fees|salary|budget) (?:of|for|per|to)\b|\bhow (?:much|expensive)\b.*\b(?:costs?|pay|paid|spend|spent|"
     r"charged?|earn|earned|price|fee|fine)\b|\bhow expensive\b|多少钱|多少元|价格|费用是多少|收费标准"),
    (Sought.SHARE, r"\b(?:what|which) (?:percent|percentage|proportion|share|fraction)\b|百分之几|百分之多少|比例|占比|百分比"),
    (Sought.QUANTITY, r"\bhow (?:many|much|long|far|tall|old|fast|often|heavy|high|large|big|deep|wide|thick|hot|cold|loud)\b"
     r"|\b(?:what|which) (?:number|amount)\b|how frequently|多少|多(?:长|久|大|高|远|重|深|宽|快)|几(?!时|点|月)"),
    (Sought.TIME, r"\bwhen\b|\b(?:what|which|in what|on what) (?:\w+ )?(?:year|date|day|month|time|century|decade|quarter|deadline)\b"
     r"|何时|什么时候|什么时间|几时|几点|几月|哪一?年|哪一?天|哪一?月|何年"),
    (Sought.PERSON, r"\bwho(?:se|m)?\b|谁|何人|哪位|什么人"),
    (Sought.PLACE, r"\bwhere\b|\b(?:what|which) (?:city|country|town|place|state|street|room|floor|location)\b"
     r"|哪里|哪儿|何处|何地|什么地方|在哪|哪个?(?:城市|国家|省|市|区|县|楼|地)"),
    (Sought.REASON, r"\bwhy\b|\bfor what reason\b|\bwhat (?:was |is )?the (?:reason|cause)\b|为什么|为何|原因|什么缘故"),
]  # fmt: skip

_NUMBER_WORD = (
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twent\w+|thirt\w+|fort\w+|fift\w+|sixt\w+|sevent\w+|"
    r"eight\w+|ninet\w+|hundreds?|thousands?|millions?|billions?|dozens?|once|twice|half|single|daily|weekly|monthly|"
    r"annually|yearly|hourly|every|each|no)\b"
)
_HAN_NUMBER = "[一二两三四五六七八九十百千万亿半]"
_MONTH = (
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?(?= \d))\b"
)
_EVIDENCE = {
    Sought.MONEY: rf"[$€£¥￥]|\b(?:usd|eur|gbp|chf|cny|rmb|dollars?|euros?|pounds?|francs?|cents?|pence|yen|yuan|rupees?|crowns?|free|"
    rf"(?:thousand|million|billion)s?)\b|[\d一二三四五六七八九十百千万亿两]\s*(?:元|美元|块|角|欧元)|免费|费",
    Sought.SHARE: rf"%|\bper ?cent\b|\b(?:half|third|thirds|quarter|quarters|fifth|fifths|majority|all|most|none|one in)\b|百分之|成|全部|一半|分之",
    Sought.QUANTITY: rf"\d|{_NUMBER_WORD}|{_HAN_NUMBER}",
    Sought.TIME: rf"\d|{_MONTH}|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:century|decade|quarter|year|week|month|day|morning|"
    rf"afternoon|evening|night|noon|midnight|today|spring|summer|autumn|winter|after|before|during|immediately)s?\b"
    rf"|{_HAN_NUMBER}+\s?[年月日天时点周]|[春夏秋冬]季|[年月周]|后|前|时",
    Sought.PERSON: rf"[A-Z][\w.'’-]*[^\S\n]+(?:(?:van|von|de|der|den|la|le|bin|al|of|the)\s+)*[A-Z]|[{HAN}]{{2}}"
    r"|\b[Tt]he \w+|\b[A-Z]\w+",
    Sought.PLACE: rf"\b(?:in|at|on|near|from|to|into|inside|outside|behind|under|above|next|between|within|through|of|along|across|"
    rf"around|beside|over|below)\b|[{HAN}]",
    Sought.REASON: r"\b(?:because|due|owing|since|as|so|for|to|thanks|result\w*|caus\w*|reason\w*|reflect\w*|driven|avoid\w*|"
    r"prevent\w*|therefore|led|otherwise|by|if|would|could|can|may)\b|因|由于|为了|以便|以免|导致|防止|避免|所以|故|为",
}
# What a question asks for by an adjective ("how heavy"), an answer says by another word.
_MEASURES = {
    "deep": "depth deep", "heavy": "weigh weight heavy kilogram kilograms kg tonnes grams", "high": "height high rise tall", "tall": "height tall high",
    "wide": "width wide broad", "broad": "width wide broad", "thick": "thickness thick", "fast": "speed fast knots", "quick": "speed quick fast",
    "hot": "temperature hot degrees", "cold": "temperature cold degrees", "warm": "temperature warm degrees", "loud": "loud noise decibel decibels",
    "old": "age aged old founded built planted", "expensive": "price cost costs expensive", "large": "size area large big", "big": "size area big large",
    "strong": "strength strong", "bright": "brightness bright", "far": "distance away far", "powerful": "power powerful",
}  # fmt: skip
_MEASURE = re.compile(rf"\bhow ({'|'.join(_MEASURES)})\b", re.IGNORECASE)
_BARE = re.compile(r"\bhow (?:long|often|frequently|soon|far)\b", re.IGNORECASE)  # says the kind sought, nothing of the matter
_DATE = re.compile(
    rf"\b\d{{1,2}} {_MONTH}|\b(?:in|since|of|and|from|until|by|after|before|during) (?:1[5-9]|20)\d\d\b|(?:1[5-9]|20)\d\d年", re.IGNORECASE
)
_ANCHOR = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")


@dataclass(frozen=True)
class Question:
    """A question, read.

    Attributes:
        text: as asked.
        terms: the words that carry meaning, in order (see `words.terms`).
        numbers: those of the terms that are numbers.
        names: stems of the words written as names ("Berlin", "CFO"); empty for a question in Chinese.
        sought: the kind of thing that answers.
        chinese: whether it is in Chinese.
        alike: for a term, the other words that say it as well.
    """

    text: str
    terms: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    sought: Sought
    chinese: bool
    alike: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, text: str) -> "Question":
        """Read one question that stands alone."""
        words = plain(text)
        found = tuple(terms(_BARE.sub("how", words)))
        return cls(
            text=words,
            terms=found,
            numbers=frozenset(term for term in found if term[0].isdigit()),
            names=frozenset(_names(words)) & frozenset(found),
            sought=_sought(words.lower()),
            chinese=is_chinese(words),
            alike={stem(word): frozenset(map(stem, _MEASURES[word.lower()].split())) for word in _MEASURE.findall(words)},
        )

    def evidence_in(self, sentence: str) -> bool:
        """Whether the sentence holds a thing of the kind sought that the question did not say itself."""
        if self.sought is Sought.ANYTHING:
            return True
        said = {number(match) for match in re.findall(r"\d+(?:[.,]\d+)*", self.text)}
        left = re.sub(
            r"\d+(?:[.,]\d+)*", lambda match: " " if number(match.group()) in said else match.group(), plain(sentence)
        )
        if self.sought in (Sought.QUANTITY, Sought.MONEY):
            left = _DATE.sub(" ", left)
        if self.sought is not Sought.PERSON:
            return bool(re.search(_EVIDENCE[self.sought], left, re.IGNORECASE))
        left = " ".join(word for word in left.split() if stem(word.strip(".,;:()")) not in self.terms)
        return bool(re.search(_EVIDENCE[Sought.PERSON], left))


def years(text: str) -> frozenset[str]:
    """The years that a text names in digits."""
    return frozenset(_YEAR.findall(plain(text)))


def _sought(words: str) -> Sought:
    return next((kind for kind, pattern in _KINDS if re.search(pattern, words)), Sought.ANYTHING)


def _names(text: str) -> list[str]:
    """Words written with a capital inside the question; in a Title Case question capitals say nothing."""
    words = [word for word in _ANCHOR.findall(text) if word[0].isascii() and word[0].isalpha()]
    capitals = [word for word in words[1:] if word[0].isupper()]
    if len(words) > 3 and 2 * len(capitals) > len(words):
        return []
    return [stem(word) for word in capitals]

"""What a question asks for: its terms, its names, and the sign by which a sentence shows that it can answer."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass

import regex

from pipelines.text.money import NUMBER_WORD, has_money
from pipelines.text.scripts import HAN
from pipelines.text.terms import GRADABLE, query_terms, stem

_Kind = tuple["regex.Pattern[str]", Callable[[str], object], bool]
_YEAR = regex.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_WORD = regex.compile(r"\p{Latin}[\p{Latin}\p{M}\d]*(?:['’]\p{Latin}+)*|\d+(?:[.,]\d+)*")
_CHINESE_GRAMMAR = regex.compile("[的是谁吗呢什哪怎几]|多少|如何")
_MONTH = rf"\b(?:{'|'.join(calendar.month_name[1:])}|(?:{'|'.join(calendar.month_abbr[1:])}|Sept)\.?(?= \d))\b"


def _kind(asked: str, sign: str, is_exact: bool = False) -> _Kind:
    return regex.compile(asked, regex.IGNORECASE), regex.compile(sign, regex.IGNORECASE).search, is_exact


# What is asked for, and the sign of it: a sentence without one hardly answers. The first that is asked decides.
_PRICE = r"(?:prices?|costs?|fees?|fares?|rents?|salar(?:y|ies)|wages?|budgets?|deposits?|fines?|charges?)"
_MONEY = (
    r"\bhow (?:expensive|much\b.*\b(?:costs?|pay|paid|spen[dt]|charged?|earn|price|fee|fine))\b"
    r"|\b(?:price|costs?|fees?|salary|budget) (?:of|for|per|to)\b"
    "|多少[钱元]|多贵|几[块元]|[价租]格|什么价|收费标准",
    rf"\bfree\b|\b{_PRICE}\W{{1,3}}\d|费|[价租][^\d]?\W\d",
)
_TIME = (
    r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|time|century|decade|quarter|deadline)\b"
    "|[何哪]一?[时年天月日]|(?:什么|啥)时|几[时点月号日]|(?:周|星期|礼拜)几",
    rf"(?<![\d.,:])\d(?![\d.,:]*\s*{HAN})|{_MONTH}|\b(?:{'|'.join(calendar.day_name)})s?\b"
    r"|\b(?:centur(?:y|ies)|decades?|years?|weeks?|months?|days?|morning|afternoon|evening|night|noon|midnight|spring"
    r"|summer|autumn|winter|weekends?|holidays?|today|tomorrow|yesterday|(?:dai|week|month|annual|year|hour)ly"
    r"|after|before|during|until|till|since|once|when|while|every|each)\b"
    r"|[\d\p{Numeric_Type=Numeric}半]\s*(?:[年月日天号点时周秒分]|小时|季度|世纪)|[春夏秋冬]季|[周每]\w|星期"
    "|[早晚夜]|凌晨|[上中下]午|[前后]|期间|节|[年月季][初中末底]",
)
_PERSON = (
    r"\bwho(?:se|m)?\b|谁|何人|哪位|(?:什么|啥)人",
    # A capital that does not begin the sentence, a word for a person by the look of it, or the subject.
    r"(?-i:(?<=\w\W{1,2})\p{Lu})\w|^(?:the|an?|our|each|every) (?!x\b)[a-z]+"
    r"|\b\w{3,}(?:[eo]rs?|ists?|ians?|ants?|ees?|m[ea]n)\b"
    rf"|\b(?:people|persons?|staff|president|company|students?|children|adults?|chief|head|he|she|they)\b|{HAN}{{2}}",
)
_PLACE = (
    "哪[里裡儿]|何[处地]|什么地方",
    r"[在于於](?!\s*[\d\p{Numeric_Type=Numeric}])|[路街道巷楼层室区县市省镇乡村山峰岛港台厅馆店站园院桥塔]|[东南西北旁]|地[点址]|对面|附近",
)
_QUANTITY = (
    r"\bhow (?:many|much|long|far|tall|old|fast|often|frequently|heavy|high|large|big|deep|wide|thick|hot|cold)\b"
    rf"|\b(?:what|which) (?:number|amount|percent\w*|proportion|share)\b|多[少{GRADABLE}]|几|比例",
    rf"(?<!\d)(?!(?:1[5-9]|20)\d\d\b)\d|{NUMBER_WORD}|\b(?:dai|week|month|annual|year|hour)ly\b"
    r"|[\p{Numeric_Type=Numeric}半]",
)
# How somebody is reached: nothing answers but what can be dialed or typed. English names, Chinese names, the sign.
_CONTACTS = (
    ("e-?mail", "邮箱|电邮|(?:电子)?邮件", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    (
        "(?:tele)?phone|fax|mobile|hotline",
        "电话|手机|热线|传真",
        r"(?<![\w.,])(?!\d{4}-\d\d-\d\d)\+?\(?\d(?:[\s()/.–-]{0,2}\d){4,}"
        r"|\b(?:call|dial|ring|phone|tel\w*|ext\w*|fax|number)\b\W*(?:is |at )?\d{3}"
        r"|(?:电话|拨打?|分机|号码?|热线|传真)\W*[是为]?\W*\d{3}",
    ),
    ("web ?site|web ?page|home ?page", "网址|网站|官网", r"\bhttps?://\S|(?<![@\w.])(?:[\w-]+\.)+[A-Za-z]{2,}\b"),
)
_FREE = regex.compile(_MONEY[1], regex.IGNORECASE)
# What asks, whether a text shows it, and whether nothing else answers.
_KINDS: tuple[_Kind, ...] = (
    (regex.compile(_MONEY[0], regex.IGNORECASE), lambda text: _FREE.search(text) or has_money(text), False),
    *(_kind(*each) for each in (_TIME, _PERSON)),
    *(
        _kind(
            r"\b(?:(?:what|which)(?:['’]s| is| are)?|give me) (?:(?!of\b)[\w'’-]+ ){0,5}?"
            rf"(?:{english})s?(?: (?:address|number)|(?= (?:of|for)\b|\W*$))"
            rf"|\bhow\b.*\b(?:reach|contact|write)\b.*\b(?:by|via|per) (?:{english})\b"
            rf"|(?:{chinese})(?:地址|号码?)?(?:[是为]|[?？。\s]*$)|(?:什么|哪个)(?:{chinese})",
            sign,
            is_exact=True,
        )
        for english, chinese, sign in _CONTACTS
    ),
    *(_kind(*each) for each in (_PLACE, _QUANTITY)),
)
# Words that only say which kind is sought: no sentence need repeat them.
_BARE = regex.compile(
    r"(?i)\bhow (?:long|often|frequently|soon|far)\b"
    r"|\b(?:what|which) (?:year|date|day|month|time|city|country|place|percent(?:age)?|number|amount)\b(?: of\b)?"
    "|(?<=哪[个座]?|什么)(?:城市|国家|地方|价)|地址(?=是|在哪)"
)
_BARE_CONTACT = regex.compile(
    rf"(?i)\b(?:{'|'.join(english for english, _, _ in _CONTACTS)}|address|numbers?|reach|contact|write)(?:es|s)?\b"
    rf"|(?:{'|'.join(chinese for _, chinese, _ in _CONTACTS)})(?:地址|号码?)?"
)


@dataclass(frozen=True)
class Question:
    """A question, read.

    Attributes:
        text: as asked.
        terms: the words that carry meaning, in order, each once.
        names: those of the terms that are written as names ("Berlin", "CFO").
        has_sign: whether a text shows the kind of thing that is asked for; `None` if that may be anything.
        is_exact: whether only what shows it can answer, and may if nothing else is asked.
        is_chinese: whether it is in Chinese.
    """

    text: str
    terms: tuple[str, ...]
    names: set[str]
    has_sign: Callable[[str], object] | None
    is_exact: bool
    is_chinese: bool

    @classmethod
    def read(cls, text: str) -> "Question":
        """Read one question that stands alone."""
        has_sign, is_exact = next((kind[1:] for kind in _KINDS if kind[0].search(text)), (None, False))
        terms = tuple(dict.fromkeys(query_terms((_BARE_CONTACT if is_exact else _BARE).sub(" ", text))))
        names = {stem(word) for word in _WORD.findall(text)[1:] if word[0].isupper()}
        return cls(text, terms, names.intersection(terms), has_sign, is_exact, is_chinese(text))

    def is_met_by(self, sentence: str) -> bool:
        """Whether the sentence has the sign of what is asked for in a word or figure that the question does not say."""
        if self.has_sign is None:
            return True
        left = _WORD.sub(lambda match: "x" if stem(match.group()) in self.terms else match.group(), sentence)
        return bool(self.has_sign(left))


def is_chinese(text: str) -> bool:
    """Whether the text is Chinese: by its grammar, whatever foreign names it holds, or by most of its characters."""
    return bool(_CHINESE_GRAMMAR.search(text)) or 2 * len(regex.findall(HAN, text)) > len(
        regex.findall("[A-Za-z]", text)
    )


def years(text: str) -> frozenset[str]:
    """The years that a text names in digits."""
    return frozenset(_YEAR.findall(text))

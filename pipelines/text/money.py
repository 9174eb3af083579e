"""Amounts of money in English and Chinese text: a number beside a currency.

Which currencies there are, and what they are called, comes from Unicode and its CLDR (Babel, BSD-3-Clause): signs
("₹"), ISO 4217 codes ("NOK"), names in both languages ("kroner", "兹罗提"), and what the countries write in their place
("kr", "zł"). A name may have other meanings too: "20 pounds" is perhaps a weight.
"""

from functools import cache

import regex

NUMBER_WORD = (
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|"
    r"nine)ty|hundreds?|thousands?|[mb]illions?|dozens?|once|twice|half|thirds?|quarters?|every|each|no|all|most|none)\b"
)
_NUMERAL = r"[\d\p{Numeric_Type=Numeric}半]"
_REMARK = regex.compile(r"\s*[(（].*?[)）]")  # on a former currency: "(1992–2002)"


def has_money(text: str) -> bool:
    """Whether the text names an amount of money."""
    return _amount().search(text) is not None


@cache
def _amount() -> "regex.Pattern[str]":
    from babel import Locale
    from babel.core import get_global
    from babel.languages import get_official_languages
    from babel.localedata import exists
    from babel.numbers import get_currency_name

    written: set[str] = set()  # codes and abbreviations
    english: set[str] = set()
    chinese: set[str] = set()
    zh = Locale("zh")
    for territory, currencies in get_global("territory_currencies").items():
        languages = get_official_languages(territory, de_facto=True)
        locales = [Locale.parse(name) for one in languages if exists(name := f"{one}_{territory}")]
        for code in (code for code, _, _, is_tender in currencies if is_tender):
            written |= {code, *(each.currency_symbols.get(code, code) for each in locales)}
            english |= {_REMARK.sub("", get_currency_name(code, count, "en")).split()[-1] for count in (1, 2)}
            name = _REMARK.sub("", get_currency_name(code, locale=zh))
            chinese |= {name, name.removeprefix(zh.territories.get(territory, ""))}
    return regex.compile(
        rf"\p{{Sc}}|(?<!\p{{L}})\L<written>\W{{0,4}}\d|\d(?:[kKmM]|bn)?\s*\L<written>(?!\p{{L}})"
        rf"|{_NUMERAL}\s*[美欧]?(?:[元块角]|\L<chinese>)|(?i:\b\L<english>\)?:\s*\d)"
        rf"|(?i:(?:\d(?:[km]|bn)?|{NUMBER_WORD})[\s-]*(?-i:\p{{Lu}}[\w.]*\s+){{0,3}}\L<english>\b)",
        written=[each for each in written if regex.fullmatch(r"\p{L}[\p{L}.]+", each)],
        english=english | {"cent", "cents", "pence"},
        chinese=chinese - {""},
    )

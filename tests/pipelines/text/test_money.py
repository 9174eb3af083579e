import pytest

from pipelines.text.money import has_money

AMOUNTS = """48,000 kroner|NOK 31,500|12,900 SEK|₹450|900 rubles|1,200 roubles|350 pesos|25 zloty|25 zlotys|3,000 won
199 kr|kr 199|199 kr.|Rs. 450|450 zł|990 Ft|12 lei|R$ 40|Price (NOK): 610|Price (kroner): 450
two hundred Norwegian kroner|2 million yen|12 US dollars|1.5bn euros|5k EUR|fifty cents|CHF 20
€5|5 €|a thousand-ruble note
48000挪威克朗|31500卢布|800兹罗提|3000韩元|200万日元|五十元|三块
300泰铢|40英镑|六十卢比|5美元"""
OTHERS = """95 boats|She won 3 medals.|all 50 boats|12 km|40 minutes|in 2019|try 5 times|page 4|20 W|GB|kroner|the euro
95条船|40分钟|3.5公里|28度|十六岁|三楼"""


@pytest.mark.parametrize("text", AMOUNTS.replace("\n", "|").split("|"))
def test_an_amount_of_any_currency_is_money(text):
    assert has_money(text)
    assert has_money(f"It is {text}, as ever." if text.isascii() else f"共{text}。")


@pytest.mark.parametrize("text", OTHERS.replace("\n", "|").split("|"))
def test_other_figures_are_not(text):
    assert not has_money(text)

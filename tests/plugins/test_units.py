"""`units` converts by the definitions, exactly, and back again."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

# Each pair is an independent definition, not the factor that the plugin has.
DEFINITIONS: list[tuple[str, str, str, str]] = [
    ("12", "inches", "foot", "1"),
    ("3", "ft", "yd", "1"),
    ("1760", "yards", "mile", "1"),
    ("2.54", "cm", "in", "1"),
    ("16", "oz", "lb", "1"),
    ("7000", "grains", "pounds", "1"),
    ("14", "lb", "stone", "1"),
    ("2000", "pounds", "short_ton", "1"),
    ("480", "gr", "oz_t", "1"),
    ("212", "°F", "°C", "100"),
    ("0", "K", "celsius", "-273.15"),
    ("491.67", "R", "F", "32"),
    ("80", "Re", "C", "100"),
    ("43560", "square feet", "acre", "1"),
    ("640", "acres", "square mile", "1"),
    ("231", "cubic inches", "gal", "1"),
    ("4", "qt", "gal", "1"),
    ("3", "tsp", "tbsp", "1"),
    ("2", "tablespoons", "fl_oz", "1"),
    ("20", "imp_fl_oz", "imp_pt", "1"),
    ("42", "gallons", "barrel", "1"),
    ("1", "cm3", "mL", "1"),
    ("1", "mi/h", "ft/s", "22/15"),
    ("1", "knot", "km/h", "1.852"),
    ("1", "kibibytes", "bytes", "1024"),
    ("1", "Gbit/s", "MB/s", "125"),
    ("760", "Torr", "atm", "1"),
    ("1", "bar", "kPa", "100"),
    ("1", "kWh", "MJ", "3.6"),
    ("1", "kcal", "kJ", "4.184"),
    ("1", "lbf", "kgf", "0.45359237"),
    ("550", "ft_lbf", "J", "745.69987158227022"),
    ("1", "hp", "W", "745.69987158227022"),
    ("1", "PS", "W", "735.49875"),
    ("90", "degrees", "grad", "100"),
    ("3600", "arcsec", "deg", "1"),
    ("60", "rpm", "Hz", "1"),
    ("100", "km/L", "L/100km", "1"),
    ("1", "fortnight", "days", "14"),
    ("400", "gregorian years", "days", "146097"),
]


@pytest.mark.parametrize(("value", "source", "target", "expected"), DEFINITIONS)
def test_a_definition_holds_exactly(
    plugins: BundledPlugins, value: str, source: str, target: str, expected: str
) -> None:
    result = plugins.call("units", "convert", value=value, **{"from": source}, to=target)
    assert Fraction(result["fraction"]) == Fraction(expected)
    back = plugins.call("units", "convert", value=result["fraction"], **{"from": target}, to=source)
    assert Fraction(back["fraction"]) == Fraction(value)


def test_every_unit_converts_to_every_other_of_its_kind_and_back(plugins: BundledPlugins) -> None:
    units = plugins.call("units", "list_units")["units"]
    assert len(units) > 150
    for unit, other in pairwise(units):
        if unit["kind"] != other["kind"]:
            continue
        there = plugins.call("units", "convert", value="7/3", **{"from": unit["symbol"]}, to=other["name"])
        assert (there["kind"], there["from"], there["to"]) == (unit["kind"], unit["name"], other["name"])
        if "fraction" in there:
            arguments = {"value": there["fraction"], "from": other["name"], "to": unit["symbol"]}
            assert plugins.call("units", "convert", **arguments)["fraction"] == "7/3"


def test_radians_hold_the_digits_of_pi(plugins: BundledPlugins) -> None:
    result = plugins.call("units", "convert", value="180", **{"from": "deg"}, to="rad", digits=90)
    assert result["value"].startswith(
        "3.141592653589793238462643383279502884197169399375105820974944592307816406286208998628"
    )
    assert result["exact"] is False
    assert "fraction" not in result


@settings(max_examples=60)
@given(value=st.fractions(max_denominator=10**6), pair=st.sampled_from([("mi", "km"), ("lb", "g"), ("GiB", "kbit")]))
def test_conversion_is_linear_and_reversible(plugins: BundledPlugins, value: Fraction, pair: tuple[str, str]) -> None:
    one = Fraction(plugins.call("units", "convert", value="1", **{"from": pair[0]}, to=pair[1])["fraction"])
    result = plugins.call("units", "convert", value=str(value), **{"from": pair[0]}, to=pair[1])
    assert Fraction(result["fraction"]) == value * one


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"value": "1", "from": "kg", "to": "m"}, "measures mass and 'm' measures length"),
        ({"value": "1", "from": "smoot", "to": "m"}, "no unit known here"),
        ({"value": "1", "from": "m", "to": ""}, "no unit known here"),
        ({"value": "-1", "from": "K", "to": "C"}, "below absolute zero"),
        ({"value": "-460", "from": "F", "to": "C"}, "below absolute zero"),
        ({"value": "0", "from": "mpg", "to": "L/100km"}, "no counterpart"),
        ({"value": "0", "from": "L/100km", "to": "mpg"}, "no counterpart"),
        ({"value": "1,5", "from": "m", "to": "ft"}, "not a number"),
        ({"value": "1/0", "from": "m", "to": "ft"}, "denominator 0"),
        ({"value": "1e99999", "from": "m", "to": "ft"}, "more than 20,000 digits"),
        ({"value": "NaN", "from": "m", "to": "ft"}, "not a number"),
        ({"value": "1", "from": "MW", "to": "mw"}, "no unit known here"),
    ],
)
def test_impossible_conversions_are_refused(
    plugins: BundledPlugins, arguments: dict[str, object], expected: str
) -> None:
    assert expected in plugins.refusal("units", "convert", **arguments)

"""`calc` agrees with Python's integers, fractions, decimal and statistics."""

from __future__ import annotations

import decimal
import math
import statistics
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

MODES = {
    "half_even": decimal.ROUND_HALF_EVEN, "half_up": decimal.ROUND_HALF_UP, "down": decimal.ROUND_DOWN,
    "up": decimal.ROUND_UP, "floor": decimal.ROUND_FLOOR, "ceiling": decimal.ROUND_CEILING,
}  # fmt: skip

big_integers = st.integers(-(10**60), 10**60) | st.integers(-20, 20) | st.integers(0, 600).map(lambda n: 2**n - 1)


def rounded(value: Fraction, digits: int, mode: str) -> Decimal:
    """The value at that many decimal places, by decimal's own rounding of an integer and a sticky digit."""
    scaled = abs(value) * 10**digits
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    sticky = 0 if rest == 0 else 5 if 2 * rest == scaled.denominator else 1 if 2 * rest < scaled.denominator else 9
    with decimal.localcontext() as context:
        context.prec = 2_000
        exact = (Decimal(whole) + Decimal(sticky) / 10) * (-1 if value < 0 else 1)
        return exact.quantize(Decimal(1), MODES[mode]).scaleb(-digits)


# Pairs of an expression in the plugin's language and the value that Python finds for it.
Pair = tuple[str, Fraction]


def combine(left: Pair, right: Pair, operator: str) -> Pair:
    text, a, b = f"({left[0]} {operator} {right[0]})", left[1], right[1]
    if operator in {"/", "//", "%"} and b == 0:
        return left
    match operator:
        case "+":
            return text, a + b
        case "-":
            return text, a - b
        case "*":
            return text, a * b
        case "/":
            return text, a / b
        case "//":
            return text, Fraction(a // b)
        case _:
            return text, a % b


def powered(base: Pair, exponent: int) -> Pair:
    return base if base[1] == 0 and exponent < 0 else (f"({base[0]})^{exponent}", base[1] ** exponent)


def literal(value: int, places: int) -> Pair:
    digits = str(abs(value)).zfill(places + 1)
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return ("-" if value < 0 else "") + text, Fraction(value, 10**places)


pairs = st.recursive(
    st.builds(literal, big_integers, st.integers(0, 8)),
    lambda inner: (
        st.builds(combine, inner, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]))
        | st.builds(powered, inner, st.integers(-4, 5))
        | inner.map(lambda pair: (f"-{pair[0]}" if not pair[0].startswith("-") else f"-({pair[0]})", -pair[1]))
    ),
    max_leaves=10,
)


@settings(max_examples=250)
@given(pair=pairs, digits=st.integers(0, 40), mode=st.sampled_from(sorted(MODES)))
def test_expressions_have_the_value_that_fractions_give(
    plugins: BundledPlugins, pair: Pair, digits: int, mode: str
) -> None:
    text, value = pair
    result = plugins.call("calc", "evaluate", expression=text, digits=digits, rounding=mode)
    assert Fraction(result["fraction"]) == value
    expected = rounded(value, digits, mode)
    assert Decimal(result["decimal"]) == expected
    assert result["exact"] is (Fraction(expected) == value)
    assert "." not in result["decimal"] or not result["decimal"].endswith("0")


@settings(max_examples=60)
@given(a=st.integers(0, 10**400), b=st.integers(1, 10**200) | st.integers(1, 2**64))
def test_division_of_long_integers_is_exact(plugins: BundledPlugins, a: int, b: int) -> None:
    result = plugins.call("calc", "evaluate", expression=f"{a} // {b} * {b} + {a} % {b} - {a} + {a} // {b}")
    assert int(result["fraction"]) == a // b
    assert int(plugins.call("calc", "evaluate", expression=f"{a} % {b}")["fraction"]) == a % b


@pytest.mark.parametrize("divisor", [2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**96 - 2**64 + 1, (2**64 - 1) << 32])
def test_division_where_the_estimated_digit_is_wrong(plugins: BundledPlugins, divisor: int) -> None:
    for shift in (32, 64, 96, 128):
        for dividend in ((divisor << shift) - 1, divisor << shift, (2**64 - 1) << shift, (2**32 - 2) << shift):
            result = plugins.call(
                "calc", "evaluate", expression=f"{dividend} // {divisor} * 10^80 + {dividend} % {divisor}"
            )
            assert int(result["fraction"]) == dividend // divisor * 10**80 + dividend % divisor


@settings(max_examples=60)
@given(a=big_integers, b=big_integers, c=st.integers(1, 10**30), n=st.integers(0, 90), k=st.integers(0, 90))
def test_functions_equal_those_of_math(plugins: BundledPlugins, a: int, b: int, c: int, n: int, k: int) -> None:
    expected = {
        f"gcd({a}, {b})": math.gcd(a, b),
        f"lcm({a}, {b})": math.lcm(a, b),
        f"isqrt({abs(a)})": math.isqrt(abs(a)),
        f"binomial({n}, {k})": math.comb(n, k),
        f"{n}!": math.factorial(n),
        f"powmod({a}, {abs(b)}, {c})": pow(a, abs(b), c),
        f"max({a}, {b}, {c}) + min({a}, {b}) + sum({a}, {b}, {c}) + sign({a}) * abs({b})": (
            max(a, b, c) + min(a, b) + a + b + c + ((a > 0) - (a < 0)) * abs(b)
        ),
        f"floor({a}/{c}) * 7 + ceil({a}/{c}) + trunc({a}/{c}) + round({a}/{c})": (
            a // c * 7 - (-a // c) + math.trunc(Fraction(a, c)) + round(Fraction(a, c))
        ),
    }
    together = "min(" + ", ".join(f"({text}) - ({value})" for text, value in expected.items()) + ")"
    assert plugins.call("calc", "evaluate", expression=together)["fraction"] == "0"
    assert plugins.call("calc", "evaluate", expression=together.replace("min(", "max(", 1))["fraction"] == "0"


@settings(max_examples=50)
@given(value=st.fractions(0, 10**12, max_denominator=10**9), digits=st.integers(0, 60), degree=st.integers(2, 5))
def test_roots_are_rounded_to_the_nearest_decimal(
    plugins: BundledPlugins, value: Fraction, digits: int, degree: int
) -> None:
    result = plugins.call("calc", "evaluate", expression=f"root({value}, {degree}, {digits})", digits=1000)
    root = Fraction(result["fraction"])
    half = Fraction(1, 2 * 10**digits)
    assert root**degree == value or max(root - half, Fraction(0)) ** degree <= value <= (root + half) ** degree
    if root**degree != value:
        assert result["exact"] is False


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 + * 3", "found '*' at character 5"),
        ("(1 + 2", "ends after character 6"),
        ("1 2", "expected an operator, found '2' at character 3"),
        ("1,000", "write thousands without ','"),
        ("sin(1)", "unknown name 'sin' at character 1"),
        ("1 / (3 - 3)", "division by zero (at character 3)"),
        ("5 % 0", "division by zero (at character 3)"),
        ("0 ^ -1", "no negative power (at character 3)"),
        ("2 ^ 0.5", "exponent must be an integer"),
        ("2 ^ 10^9", "exponent must be an integer"),
        ("10 ^ 20001", "more than 20,000 digits"),
        ("9^900000", "more than 78,000 digits"),
        ("5001!", "from 0 to 5000"),
        ("(-1)!", "from 0 to 5000"),
        ("sqrt(-2)", "no real root"),
        ("gcd(1.5, 2)", "integers only"),
        ("binomial(1)", "needs 2 arguments and got 1"),
        ("abs(1, 2)", "too many arguments"),
        ("abs", "expected '('"),
        ("1.2.3", "not a number"),
        ("0x", "expected an operator, found 'x'"),
        ("1 € 2", "found '€' at character 3"),
        ("é", "found 'é' at character 1"),
        ("(" * 5_000, "nested deeper than 200 levels"),
        ("-" * 5_000 + "1", "nested deeper than 200 levels"),
        ("2^" * 5_000 + "1", "nested deeper than 200 levels"),
        ("", "expected a number"),
        ("+".join(["1/3^3000"] + [f"1/{n}^1000" for n in range(5, 900, 2)]), "too many steps"),
    ],
)  # fmt: skip
def test_a_wrong_expression_is_refused_with_the_place(plugins: BundledPlugins, expression: str, expected: str) -> None:
    message = plugins.refusal("calc", "evaluate", expression=expression)
    assert expected in message


def test_the_deepest_expression_allowed_is_evaluated(plugins: BundledPlugins) -> None:
    expression = "abs(" * 190 + "-7" + ")" * 190
    assert plugins.call("calc", "evaluate", expression=expression)["fraction"] == "7"


@settings(max_examples=80)
@given(value=st.integers(-(10**80), 10**80), base=st.integers(2, 36))
def test_bases_convert_there_and_back(plugins: BundledPlugins, value: int, base: int) -> None:
    spelled = plugins.call("calc", "convert_base", number=str(value), to=base)
    assert int(spelled["number"], base) == value
    assert spelled["bits"] == abs(value).bit_length()
    back = plugins.call("calc", "convert_base", number=spelled["number"].upper(), **{"from": base})
    assert int(back["number"]) == value


@settings(max_examples=60)
@given(number=st.integers(1, 2**64 - 1) | st.integers(1, 5000) | st.integers(2, 2**32 - 1).map(lambda n: n * n))
def test_prime_factors_are_prime_and_multiply_to_the_number(plugins: BundledPlugins, number: int) -> None:
    result = plugins.call("calc", "factorize", number=str(number))
    factors = [(int(factor["prime"]), factor["exponent"]) for factor in result["factors"]]
    assert math.prod(prime**exponent for prime, exponent in factors) == number
    assert [prime for prime, _ in factors] == sorted({prime for prime, _ in factors})
    # Fermat's test to a few bases, independent of the plugin's own method.
    assert all(pow(base, prime - 1, prime) == 1 for prime, _ in factors for base in (2, 3, 5, 7) if base % prime)
    assert result["prime"] is (len(factors) == 1 and factors[0][1] == 1)
    assert result["divisors"] == math.prod(exponent + 1 for _, exponent in factors)


def test_small_numbers_are_prime_where_trial_division_says_so(plugins: BundledPlugins) -> None:
    # 561 … are Carmichael numbers, 3215031751 is a strong pseudoprime to 2, 3, 5 and 7, the last two are at the limit.
    for number in [*range(1, 60), 561, 1729, 3_215_031_751, 341_550_071_728_321]:
        prime = number > 1 and all(number % divisor for divisor in range(2, min(math.isqrt(number), 60_000) + 1))
        prime = prime and number != 341_550_071_728_321
        assert plugins.call("calc", "factorize", number=str(number))["prime"] is prime
    assert plugins.call("calc", "factorize", number=str(2**64 - 59))["prime"] is True
    for number in ("0", "-3", str(2**64), "1.5", ""):
        assert "number" in plugins.refusal("calc", "factorize", number=number)


@settings(max_examples=50)
@given(numbers=st.lists(st.fractions(-1000, 1000, max_denominator=1000), min_size=2, max_size=20))
def test_statistics_equal_pythons(plugins: BundledPlugins, numbers: list[Fraction]) -> None:
    result = plugins.call("calc", "statistics", numbers=[str(number) for number in numbers], digits=40)
    expected = {
        "sum": sum(numbers), "mean": statistics.mean(numbers), "median": statistics.median(numbers),
        "minimum": min(numbers), "maximum": max(numbers),
        "population_variance": statistics.pvariance(numbers), "sample_variance": statistics.variance(numbers),
    }  # fmt: skip
    for name, value in expected.items():
        assert Decimal(result[name]) == rounded(Fraction(value), 40, "half_even")
    deviation = Fraction(result["sample_standard_deviation"])
    assert abs(deviation**2 - expected["sample_variance"]) <= Fraction(1, 10**30)

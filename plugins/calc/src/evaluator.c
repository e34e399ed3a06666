#include "evaluator.h"

#include "failure.h"
#include "functions.h"
#include "memory.h"

#define MAX_DEPTH 200

typedef struct {
    Text text;
    size_t position;
    size_t depth;
} Evaluator;

static Rational parse_sum(Evaluator *evaluator);
static Rational parse_signed(Evaluator *evaluator);

static Rational nothing(void) { return rational_from(0); }

static size_t character_number(const Evaluator *evaluator, size_t position) {
    return utf8_count(text_slice(evaluator->text, 0, position)) + 1;
}

static Rational refuse(const Evaluator *evaluator, const char *problem) {
    size_t position = evaluator->position;
    size_t end = position;
    uint32_t code_point;
    if (position >= evaluator->text.length) {
        fail("%s, but the expression ends after character %u", problem, character_number(evaluator, position) - 1);
    } else {
        if (!utf8_next(evaluator->text, &end, &code_point)) end = position + 1;
        fail("%s, found %T at character %u", problem, text_slice(evaluator->text, position, end),
             character_number(evaluator, position));
    }
    return nothing();
}

static void skip_blanks(Evaluator *evaluator) {
    while (evaluator->position < evaluator->text.length) {
        char byte = evaluator->text.bytes[evaluator->position];
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') return;
        evaluator->position++;
    }
}

static bool take(Evaluator *evaluator, const char *symbol) {
    Text wanted = text_of(symbol);
    Text rest;
    skip_blanks(evaluator);
    rest = text_slice(evaluator->text, evaluator->position, evaluator->text.length);
    if (rest.length < wanted.length || !text_equals(text_slice(rest, 0, wanted.length), wanted)) return false;
    evaluator->position += wanted.length;
    return true;
}

static char peek(const Evaluator *evaluator) {
    return evaluator->position < evaluator->text.length ? evaluator->text.bytes[evaluator->position] : '\0';
}

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static bool is_letter(char byte) { return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_'; }

/* Names the operation that failed and where it stands, once. */
static Rational checked(const Evaluator *evaluator, size_t mark, size_t position, Rational value) {
    Text reason = {0};
    if (!failed() && rational_check_size(value)) return rational_keep(mark, value);
    reason = failure_message();
    if (text_find(reason, TEXT("at character"), 0) == reason.length) {
        char copy[400];
        size_t length = reason.length < sizeof copy - 1 ? reason.length : sizeof copy - 1;
        memcpy(copy, reason.bytes, length);
        copy[length] = '\0';
        failure_reset();
        fail("%s (at character %u)", copy, character_number(evaluator, position));
    }
    return nothing();
}

/* 0x, 0b and 0o: integers of another base. */
static bool parse_prefixed(Evaluator *evaluator, Rational *value) {
    static const char letters[] = "xbo";
    static const uint32_t bases[] = {16, 2, 8};
    Text text = evaluator->text;
    size_t index;
    size_t start = evaluator->position + 2;
    size_t end = start;
    uint32_t base = 0;
    if (start >= text.length || text.bytes[start - 2] != '0') return false;
    for (index = 0; index < 3; index++) {
        if ((text.bytes[start - 1] | 0x20) == letters[index]) base = bases[index];
    }
    if (base == 0) return false;
    for (; end < text.length; end++) {
        char lower = text.bytes[end] | 0x20;
        uint32_t digit = is_digit(text.bytes[end])      ? (uint32_t)(text.bytes[end] - '0')
                         : lower >= 'a' && lower <= 'f' ? (uint32_t)(lower - 'a' + 10)
                                                        : 36;
        if (digit >= base) break;
    }
    if (end == start) return false;
    *value = rational_make(false, natural_parse(text_slice(text, start, end), base), natural_from(1));
    evaluator->position = end;
    return true;
}

static Rational parse_number(Evaluator *evaluator) {
    size_t start = evaluator->position;
    Text text = evaluator->text;
    size_t end = start;
    Rational value;
    if (parse_prefixed(evaluator, &value)) return value;
    while (end < text.length && (is_digit(text.bytes[end]) || text.bytes[end] == '.')) end++;
    if (end < text.length && (text.bytes[end] | 0x20) == 'e') {
        size_t digits = end + 1;
        if (digits < text.length && (text.bytes[digits] == '-' || text.bytes[digits] == '+')) digits++;
        if (digits < text.length && is_digit(text.bytes[digits])) {
            for (end = digits; end < text.length && is_digit(text.bytes[end]);) end++;
        }
    }
    evaluator->position = end;
    if (!rational_parse(text_slice(text, start, end), "a number", &value)) return nothing();
    return value;
}

static Rational parse_call(Evaluator *evaluator) {
    size_t start = evaluator->position;
    size_t mark = arena_mark();
    const Function *function;
    Rational *arguments;
    size_t count = 0;
    Text name;
    while (is_letter(peek(evaluator)) || is_digit(peek(evaluator))) evaluator->position++;
    name = text_slice(evaluator->text, start, evaluator->position);
    function = find_function(name);
    if (function == NULL) {
        fail(
            "unknown name %T at character %u: there are abs, sign, floor, ceil, trunc, round, round_half_up, min, max, "
            "sum, mean, gcd, lcm, factorial, binomial, isqrt, sqrt, root, mod and powmod",
            name, character_number(evaluator, start));
        return nothing();
    }
    if (!take(evaluator, "(")) return refuse(evaluator, "expected '(' after the name of a function");
    arguments = arena_allocate_zeroed(function->most, sizeof(Rational));
    if (arguments == NULL) return nothing();
    do {
        if (count == function->most) return refuse(evaluator, "this function has too many arguments");
        arguments[count++] = parse_sum(evaluator);
        if (failed()) return nothing();
    } while (take(evaluator, ","));
    if (!take(evaluator, ")")) return refuse(evaluator, "expected ',' or ')'");
    if (count < function->least) {
        fail("%s needs %u arguments and got %u at character %u", function->name, function->least, count,
             character_number(evaluator, start));
        return nothing();
    }
    return checked(evaluator, mark, start, function->apply(arguments, count));
}

static Rational parse_primary(Evaluator *evaluator) {
    size_t start;
    Rational value;
    skip_blanks(evaluator);
    start = evaluator->position;
    if (is_digit(peek(evaluator)) || peek(evaluator) == '.') {
        return checked(evaluator, arena_mark(), start, parse_number(evaluator));
    }
    if (is_letter(peek(evaluator))) return parse_call(evaluator);
    if (!take(evaluator, "(")) return refuse(evaluator, "expected a number, a function or '('");
    value = parse_sum(evaluator);
    if (failed()) return nothing();
    return take(evaluator, ")") ? value : refuse(evaluator, "expected ')' or an operator");
}

static Rational parse_postfix(Evaluator *evaluator) {
    size_t mark = arena_mark();
    Rational value = parse_primary(evaluator);
    for (;;) {
        size_t position;
        if (failed() || !take(evaluator, "!")) return value;
        position = evaluator->position - 1;
        value = checked(evaluator, mark, position, factorial(value));
    }
}

static Rational parse_power(Evaluator *evaluator) {
    size_t mark = arena_mark();
    Rational base = parse_postfix(evaluator);
    Rational exponent;
    size_t position = evaluator->position;
    if (failed() || (!take(evaluator, "^") && !take(evaluator, "**"))) return base;
    exponent = parse_signed(evaluator);
    return failed() ? nothing() : checked(evaluator, mark, position, power(base, exponent));
}

static Rational parse_signed(Evaluator *evaluator) {
    Rational value;
    if (++evaluator->depth > MAX_DEPTH) {
        fail("the expression is nested deeper than %d levels at character %u", (int32_t)MAX_DEPTH,
             character_number(evaluator, evaluator->position));
        return nothing();
    }
    if (take(evaluator, "-") || take(evaluator, "\xe2\x88\x92")) {
        value = rational_negate(parse_signed(evaluator));
    } else if (take(evaluator, "+")) {
        value = parse_signed(evaluator);
    } else {
        value = parse_power(evaluator);
    }
    evaluator->depth--;
    return value;
}

typedef Rational Operation(Rational left, Rational right);

/* The operator at this place, or NULL. `**` is no product; longer symbols come before their beginnings. */
static Operation *take_product(Evaluator *evaluator) {
    if (take(evaluator, "//")) return floor_divide;
    if (take(evaluator, "*") || take(evaluator, "\xc3\x97")) return rational_multiply;
    if (take(evaluator, "/") || take(evaluator, "\xc3\xb7")) return rational_divide;
    return take(evaluator, "%") ? modulo : NULL;
}

static Rational parse_product(Evaluator *evaluator) {
    size_t mark = arena_mark();
    Rational value = parse_signed(evaluator);
    for (;;) {
        size_t position;
        Operation *operation;
        Rational right;
        skip_blanks(evaluator);
        position = evaluator->position;
        operation = failed() ? NULL : take_product(evaluator);
        if (operation == NULL) return value;
        right = parse_signed(evaluator);
        if (failed()) return nothing();
        if (operation != rational_multiply && rational_is_zero(right)) fail("division by zero");
        value = checked(evaluator, mark, position, failed() ? right : operation(value, right));
    }
}

static Rational parse_sum(Evaluator *evaluator) {
    size_t mark = arena_mark();
    Rational value = parse_product(evaluator);
    for (;;) {
        size_t position;
        Operation *operation;
        Rational right;
        skip_blanks(evaluator);
        position = evaluator->position;
        if (failed()) return nothing();
        operation = take(evaluator, "+")                                      ? rational_add
                    : take(evaluator, "-") || take(evaluator, "\xe2\x88\x92") ? rational_subtract
                                                                              : NULL;
        if (operation == NULL) return value;
        right = parse_product(evaluator);
        if (failed()) return nothing();
        value = checked(evaluator, mark, position, operation(value, right));
    }
}

bool evaluate(Text expression, Rational *result) {
    Evaluator evaluator = {expression, 0, 0};
    *result = parse_sum(&evaluator);
    if (failed()) return false;
    skip_blanks(&evaluator);
    if (evaluator.position == expression.length) return true;
    refuse(&evaluator,
           peek(&evaluator) == ',' ? "expected an operator (write thousands without ',')" : "expected an operator");
    return false;
}

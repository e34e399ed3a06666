/* Conversion between units of measurement, by exact rational factors. */
#include "rational.h"
#include "table.h"
#include "tool.h"

#define SHORTEST_PLURAL 3

static char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte; }

static bool equals_lowered(Text given, Text name) {
    size_t index;
    if (given.length != name.length) return false;
    for (index = 0; index < given.length; index++) {
        if (lower(given.bytes[index]) != name.bytes[index]) return false;
    }
    return true;
}

static bool fits_name(Text given, Text name) {
    Text singular = {given.bytes, given.length - 1};
    if (equals_lowered(given, name)) return true;
    return name.length >= SHORTEST_PLURAL && given.length > 0 && lower(given.bytes[singular.length]) == 's' &&
           equals_lowered(singular, name);
}

static bool any_fits(Text given, const char *alternatives, bool (*matches)(Text, Text)) {
    Text list = text_of(alternatives);
    size_t start = 0;
    while (start <= list.length) {
        size_t end = text_find(list, TEXT("|"), start);
        if (matches(given, text_slice(list, start, end))) return true;
        start = end + 1;
    }
    return false;
}

/* Symbols count exactly, since mW and MW differ; names in any case. */
static bool fits(const Unit *unit, Text given) {
    return any_fits(given, unit->symbols, text_equals) || any_fits(given, unit->names, fits_name);
}

static Text first_of(const char *alternatives) {
    Text list = text_of(alternatives);
    return text_slice(list, 0, text_find(list, TEXT("|"), 0));
}

static const Unit *find(Text given, const char *kind, size_t from) {
    size_t index;
    for (index = from; index < UNIT_COUNT; index++) {
        if (kind != NULL && !text_is(text_of(kind), UNITS[index].kind)) continue;
        if (fits(&UNITS[index], given)) return &UNITS[index];
    }
    return NULL;
}

static bool unknown(const char *argument, Text given) {
    return fail(
        "%s is %T, which is no unit known here: use a symbol or an English name such as km/h, mile or celsius; "
        "the tool list_units lists them all",
        argument, given);
}

/* Some symbols stand for two units (pt: point and pint), and the other side tells which one is meant. */
static bool find_pair(Text from, Text to, const Unit **source, const Unit **target) {
    const Unit *first = find(from, NULL, 0);
    const Unit *candidate;
    if (first == NULL) return unknown("from", from);
    if (find(to, NULL, 0) == NULL) return unknown("to", to);
    for (candidate = first; candidate != NULL; candidate = find(from, NULL, (size_t)(candidate - UNITS) + 1)) {
        *source = candidate;
        *target = find(to, candidate->kind, 0);
        if (*target != NULL) return true;
    }
    return fail("%T measures %s and %T measures %s: both units must be of one kind", from, first->kind, to,
                find(to, NULL, 0)->kind);
}

static Rational constant(const char *text) {
    Rational value = rational_from(0);
    rational_parse(text_of(text), "a factor", &value);
    return value;
}

static bool to_base(const Unit *unit, Rational value, Rational *base) {
    Rational factor = constant(unit->factor);
    if (unit->offset != NULL) value = rational_add(value, constant(unit->offset));
    if (unit->reciprocal && rational_is_zero(value))
        return fail("0 %T has no counterpart in other units", first_of(unit->symbols));
    *base = unit->reciprocal ? rational_divide(factor, value) : rational_multiply(value, factor);
    if (text_is(text_of(unit->kind), "temperature") && base->negative) {
        return fail("this temperature lies below absolute zero");
    }
    return !failed();
}

static bool from_base(const Unit *unit, Rational base, Rational *value) {
    Rational factor = constant(unit->factor);
    if (unit->reciprocal && rational_is_zero(base)) return fail("0 has no counterpart in %T", first_of(unit->symbols));
    *value = unit->reciprocal ? rational_divide(factor, base) : rational_divide(base, factor);
    if (unit->offset != NULL) *value = rational_subtract(*value, constant(unit->offset));
    return rational_check_size(*value);
}

static void convert(Tool *tool) {
    Buffer decimal = {0};
    Buffer fraction = {0};
    const Unit *source;
    const Unit *target;
    Rational value;
    Rational result;
    Text given;
    Text from;
    Text to;
    int64_t digits;
    size_t rounding;
    bool rounded;
    natural_reset_budget();
    if (!tool_text(tool, "value", &given) || !tool_text(tool, "from", &from) || !tool_text(tool, "to", &to) ||
        !tool_integer_or(tool, "digits", 0, 200, 30, &digits) ||
        !tool_choice(tool, "rounding", ROUNDING_NAMES, ROUNDING_COUNT, ROUND_HALF_EVEN, &rounding) ||
        !rational_parse(given, "value", &value) || !find_pair(from, to, &source, &target) ||
        !to_base(source, value, &result) || !from_base(target, result, &result)) {
        return;
    }
    rounded = (source->rounded || target->rounded) && source != target;
    bool exact = rational_write_decimal(result, (uint32_t)digits, (Rounding)rounding, false, &decimal) && !rounded;
    rational_write_fraction(result, &fraction);
    json_put_text(&tool->result, "value", buffer_text(&decimal));
    json_put_boolean(&tool->result, "exact", exact);
    if (!rounded) json_put_text(&tool->result, "fraction", buffer_text(&fraction));
    json_put_text(&tool->result, "kind", text_of(source->kind));
    json_put_text(&tool->result, "from", first_of(source->names));
    json_put_text(&tool->result, "to", first_of(target->names));
}

static bool wanted(Text kind, const Unit *unit) { return kind.length == 0 || text_is(kind, unit->kind); }

static void list_units(Tool *tool) {
    Text kind;
    size_t index;
    size_t count = 0;
    if (!tool_text_or(tool, "kind", TEXT(""), &kind)) return;
    json_key(&tool->result, "units");
    json_open(&tool->result, '[');
    for (index = 0; index < UNIT_COUNT; index++) {
        if (!wanted(kind, &UNITS[index])) continue;
        count++;
        json_open(&tool->result, '{');
        json_put_text(&tool->result, "kind", text_of(UNITS[index].kind));
        json_put_text(&tool->result, "symbol", first_of(UNITS[index].symbols));
        json_put_text(&tool->result, "name", first_of(UNITS[index].names));
        json_close(&tool->result, '}');
    }
    json_close(&tool->result, ']');
    if (count == 0) fail("kind is %T, which is no kind of unit known here: leave it out to see them all", kind);
}

EXTISM_EXPORT("convert") int32_t tool_convert(void) { return tool_run(convert); }
EXTISM_EXPORT("list_units") int32_t tool_list_units(void) { return tool_run(list_units); }

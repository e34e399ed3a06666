#include "statistics.h"

#include "rational.h"

#define MOST_NUMBERS 10000

static bool read_numbers(const Tool *tool, Rational **numbers, size_t *count) {
    JsonValue *array = json_member(tool->arguments, TEXT("numbers"));
    JsonValue *item;
    if (array == NULL || array->type != JSON_ARRAY) return fail("the argument 'numbers' must be an array of numbers");
    if (array->count == 0 || array->count > MOST_NUMBERS) {
        return fail("the argument 'numbers' must hold 1 to %u numbers, not %u", (size_t)MOST_NUMBERS, array->count);
    }
    *numbers = arena_allocate_zeroed(array->count, sizeof(Rational));
    *count = 0;
    for (item = array->first; item != NULL && *numbers != NULL; item = item->next) {
        if (item->type != JSON_NUMBER && item->type != JSON_STRING) {
            return fail(
                "item %u of 'numbers' must be a number or a string such as \"0.1\" or \"1/3\", not a value of "
                "type %s",
                *count + 1, json_type_name(item));
        }
        if (!rational_parse(item->text, "an item of 'numbers'", &(*numbers)[(*count)++])) return false;
    }
    return !failed();
}

static Rational *sorted(const Rational *numbers, size_t count) {
    Rational *from = arena_allocate_zeroed(count, 2 * sizeof(Rational));
    Rational *to = from + count;
    size_t width;
    if (from == NULL) return NULL;
    memcpy(from, numbers, count * sizeof(Rational));
    for (width = 1; width < count; width *= 2) {
        Rational *swap = from;
        size_t start;
        for (start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            size_t left = start;
            size_t right = middle;
            size_t out;
            for (out = start; out < end; out++) {
                bool from_right = left == middle || (right < end && rational_compare(from[right], from[left]) < 0);
                to[out] = from[from_right ? right++ : left++];
            }
        }
        from = to;
        to = swap;
    }
    return from;
}

typedef struct {
    Tool *tool;
    uint32_t digits;
    Rounding rounding;
} Output;

static void put(const Output *output, const char *name, Rational value) {
    Buffer decimal = {0};
    if (!rational_check_size(value)) return;
    rational_write_decimal(value, output->digits, output->rounding, false, &decimal);
    json_put_text(&output->tool->result, name, buffer_text(&decimal));
}

static Rational total(const Rational *numbers, size_t count, Rational minus, bool squares) {
    size_t mark = arena_mark();
    Rational sum = rational_from(0);
    size_t index;
    for (index = 0; index < count && !failed(); index++) {
        Rational item = rational_subtract(numbers[index], minus);
        sum = rational_keep(mark, rational_add(sum, squares ? rational_multiply(item, item) : item));
        if (!rational_check_size(sum)) break;
    }
    return sum;
}

static void put_spread(const Output *output, Rational squares, size_t count) {
    Rational population = rational_divide(squares, rational_from((int64_t)count));
    put(output, "population_variance", population);
    if (!failed()) put(output, "population_standard_deviation", rational_root(population, 2, output->digits, NULL));
    if (count > 1) {
        Rational sample = rational_divide(squares, rational_from((int64_t)count - 1));
        put(output, "sample_variance", sample);
        if (!failed()) put(output, "sample_standard_deviation", rational_root(sample, 2, output->digits, NULL));
    }
}

void statistics(Tool *tool) {
    Output output = {tool, 0, ROUND_HALF_EVEN};
    Rational *numbers;
    Rational *ordered;
    Rational sum;
    Rational mean;
    size_t count;
    int64_t digits;
    natural_reset_budget();
    if (!tool_integer_or(tool, "digits", 0, 1000, 20, &digits) || !read_numbers(tool, &numbers, &count)) return;
    output.digits = (uint32_t)digits;
    ordered = sorted(numbers, count);
    sum = total(numbers, count, rational_from(0), false);
    if (failed()) return;
    mean = rational_divide(sum, rational_from((int64_t)count));
    json_put_integer(&tool->result, "count", (int64_t)count);
    put(&output, "sum", sum);
    put(&output, "mean", mean);
    put(&output, "median",
        rational_divide(rational_add(ordered[(count - 1) / 2], ordered[count / 2]), rational_from(2)));
    put(&output, "minimum", ordered[0]);
    put(&output, "maximum", ordered[count - 1]);
    put_spread(&output, total(numbers, count, mean, true), count);
}

/* QR codes as a PNG image, as SVG, and as rows of modules. */
#include "png.h"
#include "tool.h"

#define MOST_PIXELS 4096

static const char *const LEVELS[] = {"L", "M", "Q", "H"};

static bool read_symbol(const Tool *tool, Symbol **symbol) {
    Text text;
    size_t level;
    int64_t least_version;
    if (!tool_text(tool, "text", &text) || !tool_choice(tool, "level", LEVELS, 4, LEVEL_MEDIUM, &level) ||
        !tool_integer_or(tool, "min_version", 1, 40, 1, &least_version)) {
        return false;
    }
    if (text.length == 0) return fail("the argument 'text' is empty: give the text or URL to encode");
    *symbol = arena_allocate_zeroed(1, sizeof(Symbol));
    return *symbol != NULL && make_symbol(text, (Level)level, (int32_t)least_version, *symbol);
}

static void put_facts(Tool *tool, const Symbol *symbol) {
    json_put_integer(&tool->result, "version", symbol->version);
    json_put_text(&tool->result, "level", text_of(LEVELS[symbol->level]));
    json_put_text(&tool->result, "mode", text_of(symbol->mode));
    json_put_integer(&tool->result, "mask", symbol->mask);
    json_put_integer(&tool->result, "size", symbol->size);
}

static void put_description(Tool *tool, const Symbol *symbol, int32_t pixels) {
    Buffer text = {0};
    buffer_append_string(&text, "QR code, version ");
    buffer_append_signed(&text, symbol->version);
    buffer_append_string(&text, ", level ");
    buffer_append_string(&text, LEVELS[symbol->level]);
    buffer_append_string(&text, ", ");
    buffer_append_string(&text, symbol->mode);
    buffer_append_string(&text, " mode, mask ");
    buffer_append_signed(&text, symbol->mask);
    buffer_append_string(&text, ": PNG of ");
    buffer_append_signed(&text, pixels);
    buffer_append_string(&text, " x ");
    buffer_append_signed(&text, pixels);
    buffer_append_string(&text, " pixels");
    json_open(&tool->result, '{');
    json_put_text(&tool->result, "type", TEXT("text"));
    json_put_text(&tool->result, "text", buffer_text(&text));
    json_close(&tool->result, '}');
}

/* The result is MCP content: the image, and a line of text about it. */
static void create(Tool *tool) {
    Buffer png = {0};
    Buffer encoded = {0};
    Symbol *symbol;
    int64_t scale;
    int64_t border;
    int32_t pixels;
    if (!tool_integer_or(tool, "scale", 1, 40, 8, &scale) || !tool_integer_or(tool, "border", 0, 20, 4, &border) ||
        !read_symbol(tool, &symbol)) {
        return;
    }
    pixels = (symbol->size + 2 * (int32_t)border) * (int32_t)scale;
    if (pixels > MOST_PIXELS) {
        fail("the image would have %d pixels along one side, more than %d: use a smaller scale", pixels,
             (int32_t)MOST_PIXELS);
        return;
    }
    write_png(symbol, (int32_t)scale, (int32_t)border, &png);
    codec_encode(&codec_base64, buffer_text(&png), true, &encoded);
    json_key(&tool->result, "content");
    json_open(&tool->result, '[');
    json_open(&tool->result, '{');
    json_put_text(&tool->result, "type", TEXT("image"));
    json_put_text(&tool->result, "data", buffer_text(&encoded));
    json_put_text(&tool->result, "mimeType", TEXT("image/png"));
    json_close(&tool->result, '}');
    put_description(tool, symbol, pixels);
    json_close(&tool->result, ']');
}

static void put_path(Buffer *svg, const Symbol *symbol, int32_t border) {
    int32_t row;
    int32_t column;
    for (row = 0; row < symbol->size; row++) {
        for (column = 0; column < symbol->size; column++) {
            int32_t start = column;
            while (column < symbol->size && symbol->dark[row][column]) column++;
            if (column == start) continue;
            buffer_append_byte(svg, 'M');
            buffer_append_signed(svg, start + border);
            buffer_append_byte(svg, ' ');
            buffer_append_signed(svg, row + border);
            buffer_append_byte(svg, 'h');
            buffer_append_signed(svg, column - start);
            buffer_append_string(svg, "v1h-");
            buffer_append_signed(svg, column - start);
            buffer_append_byte(svg, 'z');
        }
    }
}

static void draw_svg(Tool *tool) {
    Buffer svg = {0};
    Symbol *symbol;
    int64_t border;
    if (!tool_integer_or(tool, "border", 0, 20, 4, &border) || !read_symbol(tool, &symbol)) return;
    buffer_append_string(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ");
    buffer_append_signed(&svg, symbol->size + 2 * border);
    buffer_append_byte(&svg, ' ');
    buffer_append_signed(&svg, symbol->size + 2 * border);
    buffer_append_string(&svg, "\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h");
    buffer_append_signed(&svg, symbol->size + 2 * border);
    buffer_append_byte(&svg, 'v');
    buffer_append_signed(&svg, symbol->size + 2 * border);
    buffer_append_string(&svg, "H0z\"/><path d=\"");
    put_path(&svg, symbol, (int32_t)border);
    buffer_append_string(&svg, "\"/></svg>");
    json_put_text(&tool->result, "svg", buffer_text(&svg));
    put_facts(tool, symbol);
}

static void matrix(Tool *tool) {
    Symbol *symbol;
    char line[LARGEST_SIZE];
    int32_t row;
    int32_t column;
    if (!read_symbol(tool, &symbol)) return;
    put_facts(tool, symbol);
    json_key(&tool->result, "rows");
    json_open(&tool->result, '[');
    for (row = 0; row < symbol->size; row++) {
        for (column = 0; column < symbol->size; column++) line[column] = symbol->dark[row][column] ? '1' : '0';
        json_write_text(&tool->result, (Text){line, (size_t)symbol->size});
    }
    json_close(&tool->result, ']');
}

EXTISM_EXPORT("create") int32_t tool_create(void) { return tool_run(create); }
EXTISM_EXPORT("svg") int32_t tool_svg(void) { return tool_run(draw_svg); }
EXTISM_EXPORT("matrix") int32_t tool_matrix(void) { return tool_run(matrix); }

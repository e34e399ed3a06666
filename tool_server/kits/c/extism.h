/* extism.h: the Extism plugin interface for C and C++ (C99 or later), in one header.
 *
 * A plugin exports functions without parameters that return 0 for success and anything else for failure. It reads
 * the caller's input, writes one output, and on failure one error text. Input, output, settings and variables live in
 * the runtime's own memory and are addressed by 64-bit offsets; the functions below copy between it and the plugin's
 * memory, so that a plugin never handles an offset itself.
 *
 *     #include "extism.h"
 *
 *     EXTISM_EXPORT("greet")
 *     int32_t greet(void) {
 *         char name[64];
 *         size_t length = extism_input_read(0, name, sizeof name);
 *         if (length == 0) return extism_fail("greet needs a name as its input");
 *         extism_output(name, length);
 *         return 0;
 *     }
 *
 * Nothing here needs a C library: `-target wasm32-freestanding -nostdlib -Wl,--no-entry` and `wasm32-wasi
 * -mexec-model=reactor` both work. Everything is `static inline`; the imports that a plugin does not use are dropped
 * by the linker, so its module asks the host for no more than it needs.
 *
 * Source of the interface: the functions of `extism:host/env` as the Extism runtime (1.41) provides them.
 */
#ifndef EXTISM_H
#define EXTISM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the function that follows callable under `name`. Give it the type `int32_t function(void)`. */
#define EXTISM_EXPORT(name) __attribute__((export_name(name)))

/* Declares the function that follows as one that the host provides in `module`. */
#define EXTISM_IMPORT_FROM(module, name) __attribute__((import_module(module), import_name(name)))

/* Declares a function of the host interface, from `extism:host/user`. One of a program that embeds the server is
 * declared by EXTISM_IMPORT_FROM with the program's namespace; both take and return blocks of JSON. */
#define EXTISM_HOST_FUNCTION(name) EXTISM_IMPORT_FROM("extism:host/user", name)

/* ---- The raw imports. Offsets and lengths are bytes in the runtime's memory; offset 0 means "nothing". ---- */

#define EXTISM_ENV(name) EXTISM_IMPORT_FROM("extism:host/env", name)

typedef uint64_t ExtismOffset;

EXTISM_ENV("alloc") ExtismOffset extism_env_alloc(uint64_t length);
EXTISM_ENV("free") void extism_env_free(ExtismOffset block);
EXTISM_ENV("length") uint64_t extism_env_length(ExtismOffset block);
EXTISM_ENV("load_u8") uint32_t extism_env_load_u8(ExtismOffset at);
EXTISM_ENV("load_u64") uint64_t extism_env_load_u64(ExtismOffset at);
EXTISM_ENV("store_u8") void extism_env_store_u8(ExtismOffset at, uint32_t value);
EXTISM_ENV("store_u64") void extism_env_store_u64(ExtismOffset at, uint64_t value);
EXTISM_ENV("input_length") uint64_t extism_env_input_length(void);
EXTISM_ENV("input_load_u8") uint32_t extism_env_input_load_u8(uint64_t index);
EXTISM_ENV("input_load_u64") uint64_t extism_env_input_load_u64(uint64_t index);
EXTISM_ENV("output_set") void extism_env_output_set(ExtismOffset block, uint64_t length);
EXTISM_ENV("error_set") void extism_env_error_set(ExtismOffset block);
EXTISM_ENV("config_get") ExtismOffset extism_env_config_get(ExtismOffset key);
EXTISM_ENV("var_get") ExtismOffset extism_env_var_get(ExtismOffset key);
EXTISM_ENV("var_set") void extism_env_var_set(ExtismOffset key, ExtismOffset value);
EXTISM_ENV("http_request") ExtismOffset extism_env_http_request(ExtismOffset request, ExtismOffset body);
EXTISM_ENV("http_status_code") int32_t extism_env_http_status_code(void);
EXTISM_ENV("http_headers") ExtismOffset extism_env_http_headers(void);
EXTISM_ENV("log_trace") void extism_env_log_trace(ExtismOffset message);
EXTISM_ENV("log_debug") void extism_env_log_debug(ExtismOffset message);
EXTISM_ENV("log_info") void extism_env_log_info(ExtismOffset message);
EXTISM_ENV("log_warn") void extism_env_log_warn(ExtismOffset message);
EXTISM_ENV("log_error") void extism_env_log_error(ExtismOffset message);
EXTISM_ENV("get_log_level") int32_t extism_env_get_log_level(void);

/* ---- Copying between the two memories ---- */

static inline size_t extism_text_length(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') length++;
    return length;
}

/* Copies `length` bytes into a new block of the runtime's memory. The caller frees the block, or hands it on. */
static inline ExtismOffset extism_store(const void *bytes, size_t length) {
    const unsigned char *source = (const unsigned char *)bytes;
    ExtismOffset block = extism_env_alloc(length);
    size_t index = 0;
    if (block == 0) return 0;
    for (; length - index >= 8; index += 8) {
        uint64_t word;
        __builtin_memcpy(&word, source + index, 8);
        extism_env_store_u64(block + index, word);
    }
    for (; index < length; index++) extism_env_store_u8(block + index, source[index]);
    return block;
}

/* Copies up to `capacity` bytes of a block, from its start; returns how many there were to copy. */
static inline size_t extism_load(ExtismOffset block, void *bytes, size_t capacity) {
    unsigned char *target = (unsigned char *)bytes;
    uint64_t available = block == 0 ? 0 : extism_env_length(block);
    size_t length = available < capacity ? (size_t)available : capacity;
    size_t index = 0;
    for (; length - index >= 8; index += 8) {
        uint64_t word = extism_env_load_u64(block + index);
        __builtin_memcpy(target + index, &word, 8);
    }
    for (; index < length; index++) target[index] = (unsigned char)extism_env_load_u8(block + index);
    return (size_t)available;
}

/* ---- Input ---- */

/* Bytes of the input. */
static inline size_t extism_input_length(void) { return (size_t)extism_env_input_length(); }

/* Copies up to `capacity` bytes of the input, beginning with byte `start`; returns how many were copied. No zero is
 * added at the end. */
static inline size_t extism_input_read(size_t start, void *bytes, size_t capacity) {
    unsigned char *target = (unsigned char *)bytes;
    size_t available = extism_input_length();
    size_t length = start >= available ? 0 : available - start;
    size_t index = 0;
    if (length > capacity) length = capacity;
    for (; length - index >= 8; index += 8) {
        uint64_t word = extism_env_input_load_u64(start + index);
        __builtin_memcpy(target + index, &word, 8);
    }
    for (; index < length; index++) target[index] = (unsigned char)extism_env_input_load_u8(start + index);
    return length;
}

/* ---- Output and errors ---- */

/* Makes these bytes the output; a later call replaces an earlier one. False where the runtime has no memory left. */
static inline bool extism_output(const void *bytes, size_t length) {
    ExtismOffset block = extism_store(bytes, length);
    if (block == 0 && length != 0) return false;
    extism_env_output_set(block, length);
    return true;
}

/* As `extism_output`, for a text that ends with a zero byte. */
static inline bool extism_output_text(const char *text) { return extism_output(text, extism_text_length(text)); }

/* Makes these UTF-8 bytes the error that the caller sees. The export must then return something other than 0. */
static inline void extism_error(const void *bytes, size_t length) {
    ExtismOffset block = extism_store(bytes, length);
    if (block != 0) extism_env_error_set(block);
}

/* Sets the error and returns 1: `return extism_fail("what was wrong and what to do");`. */
static inline int32_t extism_fail(const char *message) {
    extism_error(message, extism_text_length(message));
    return 1;
}

/* ---- Settings and variables ---- */

#define EXTISM_ABSENT ((size_t)-1)

/* Copies a setting's value, at most `capacity` bytes and without a zero at the end. Returns the value's full length,
 * or EXTISM_ABSENT where the operator has not given that setting to this plugin. */
static inline size_t extism_config(const char *key, void *value, size_t capacity) {
    ExtismOffset name = extism_store(key, extism_text_length(key));
    ExtismOffset block = extism_env_config_get(name);
    size_t length = block == 0 ? EXTISM_ABSENT : extism_load(block, value, capacity);
    extism_env_free(name);
    if (block != 0) extism_env_free(block);
    return length;
}

/* As `extism_config`, for a variable that an earlier call on the same instance has set. A server that makes a fresh
 * instance for every call starts without variables. */
static inline size_t extism_variable(const char *key, void *value, size_t capacity) {
    ExtismOffset name = extism_store(key, extism_text_length(key));
    ExtismOffset block = extism_env_var_get(name);
    size_t length = block == 0 ? EXTISM_ABSENT : extism_load(block, value, capacity);
    extism_env_free(name);
    if (block != 0) extism_env_free(block);
    return length;
}

/* Stores a variable. */
static inline void extism_variable_set(const char *key, const void *value, size_t length) {
    ExtismOffset name = extism_store(key, extism_text_length(key));
    ExtismOffset block = extism_store(value, length);
    extism_env_var_set(name, block);
    extism_env_free(name);
    extism_env_free(block);
}

/* Removes a variable; one that is not set is no error. */
static inline void extism_variable_remove(const char *key) {
    ExtismOffset name = extism_store(key, extism_text_length(key));
    extism_env_var_set(name, 0);
    extism_env_free(name);
}

/* ---- HTTP ---- */

/* Sends a request and copies up to `capacity` bytes of the response's body.
 *
 * `request` is JSON: {"url": "https://…", "method": "GET", "headers": {"accept": "text/plain"}}. The operator decides
 * which hosts a plugin reaches; a refused request ends the call with the server's own error. Returns the body's full
 * length; `*status` (may be NULL) becomes the response's status code. */
static inline size_t extism_http(const char *request, const void *body, size_t body_length, int32_t *status,
                                 void *response, size_t capacity) {
    ExtismOffset request_block = extism_store(request, extism_text_length(request));
    ExtismOffset body_block = body_length == 0 ? 0 : extism_store(body, body_length);
    ExtismOffset response_block = extism_env_http_request(request_block, body_block);
    size_t length = extism_load(response_block, response, capacity);
    if (status != NULL) *status = extism_env_http_status_code();
    extism_env_free(request_block);
    if (body_block != 0) extism_env_free(body_block);
    if (response_block != 0) extism_env_free(response_block);
    return length;
}

/* Copies up to `capacity` bytes of the last response's headers, a JSON object of lower-case names; returns their full
 * length, 0 where the operator passes none on. */
static inline size_t extism_http_headers(void *headers, size_t capacity) {
    return extism_load(extism_env_http_headers(), headers, capacity);
}

/* ---- Logging ---- */

typedef enum {
    EXTISM_LOG_TRACE = 0,
    EXTISM_LOG_DEBUG = 1,
    EXTISM_LOG_INFO = 2,
    EXTISM_LOG_WARN = 3,
    EXTISM_LOG_ERROR = 4
} ExtismLogLevel;

/* Writes one line to the server's log. Cheap where the level is switched off: the text is then not even copied. */
static inline void extism_log(ExtismLogLevel level, const char *message) {
    ExtismOffset block;
    if ((int32_t)level < extism_env_get_log_level()) return;
    block = extism_store(message, extism_text_length(message));
    switch (level) {
        case EXTISM_LOG_TRACE: extism_env_log_trace(block); break;
        case EXTISM_LOG_DEBUG: extism_env_log_debug(block); break;
        case EXTISM_LOG_INFO: extism_env_log_info(block); break;
        case EXTISM_LOG_WARN: extism_env_log_warn(block); break;
        case EXTISM_LOG_ERROR: extism_env_log_error(block); break;
    }
    extism_env_free(block);
}

/* ---- The host interface: functions of `extism:host/user`, JSON in and out ----
 *
 * Each takes the offset of a block with one JSON value, or nothing, and returns one, or nothing; what the values are
 * stands in schemas/host-interface.schema.json. Offset 0 as an answer means that it failed: `extism_last_error` says
 * why, and has thereby dealt with it. A failure that nobody asks about fails the call in the end. */

EXTISM_HOST_FUNCTION("log") void extism_user_log(ExtismOffset record);
EXTISM_HOST_FUNCTION("http_get") ExtismOffset extism_user_http_get(ExtismOffset request);
EXTISM_HOST_FUNCTION("get_current_time") ExtismOffset extism_user_get_current_time(void);
EXTISM_HOST_FUNCTION("call_tool") ExtismOffset extism_user_call_tool(ExtismOffset request);
EXTISM_HOST_FUNCTION("ask_client") ExtismOffset extism_user_ask_client(ExtismOffset request);
EXTISM_HOST_FUNCTION("notify_client") void extism_user_notify_client(ExtismOffset notification);
EXTISM_HOST_FUNCTION("get_client") ExtismOffset extism_user_get_client(void);
EXTISM_HOST_FUNCTION("last_error") ExtismOffset extism_user_last_error(void);

/* Copies up to `capacity` bytes of an answer and frees it. Returns its full length, or EXTISM_ABSENT for none. */
static inline size_t extism_take(ExtismOffset answer, void *bytes, size_t capacity) {
    size_t length = answer == 0 ? EXTISM_ABSENT : extism_load(answer, bytes, capacity);
    if (answer != 0) extism_env_free(answer);
    return length;
}

/* `record` is JSON: {"level": "info", "message": "…"}. */
static inline void extism_log_record(const char *record) {
    ExtismOffset block = extism_store(record, extism_text_length(record));
    extism_user_log(block);
    extism_env_free(block);
}

/* `request` is JSON: {"url": "https://…"}; the answer {"status": 200, "headers": {…}, "body": "…"}. The permission
 * `network` decides, as for `extism_http`. Returns as `extism_take`. */
static inline size_t extism_http_get(const char *request, void *answer, size_t capacity) {
    ExtismOffset block = extism_store(request, extism_text_length(request));
    size_t length = extism_take(extism_user_http_get(block), answer, capacity);
    extism_env_free(block);
    return length;
}

/* The time in UTC as a JSON string, such as "2026-01-31T12:00:00.000Z", its quotes included. */
static inline size_t extism_current_time(void *answer, size_t capacity) {
    return extism_take(extism_user_get_current_time(), answer, capacity);
}

/* Calls another tool of this server, which the permission `tools` must name. `request` is JSON: {"name": "text_count",
 * "arguments": {…}}; the answer is the tool's result, {"content": […], "isError": false, "structuredContent": {…}}.
 * Returns as `extism_take`. */
static inline size_t extism_call_tool(const char *request, void *answer, size_t capacity) {
    ExtismOffset block = extism_store(request, extism_text_length(request));
    size_t length = extism_take(extism_user_call_tool(block), answer, capacity);
    extism_env_free(block);
    return length;
}

/* Asks the client of this call, or its user. `request` is JSON: {"requests": {"name": {"method": "elicitation/create",
 * "params": {"message": "Your name?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}}}};
 * the answer {"name": {"action": "accept", "content": {"name": "Ada"}}}. Also "sampling/createMessage" and "roots/list".
 * The plugin is stopped and run again from its start once the answer is there, and all that it asked its host before is
 * answered as it was: until then it must not depend on chance. Returns as `extism_take`. */
static inline size_t extism_ask_client(const char *request, void *answer, size_t capacity) {
    ExtismOffset block = extism_store(request, extism_text_length(request));
    size_t length = extism_take(extism_user_ask_client(block), answer, capacity);
    extism_env_free(block);
    return length;
}

/* Tells the client of this call something. `notification` is JSON: {"method": "notifications/progress", "params":
 * {"progress": 1, "total": 3}} or {"method": "notifications/message", "params": {"level": "info", "data": "…"}}. */
static inline void extism_notify_client(const char *notification) {
    ExtismOffset block = extism_store(notification, extism_text_length(notification));
    extism_user_notify_client(block);
    extism_env_free(block);
}

/* What is known of the client of this call, JSON: {"capabilities": {…}, "wantsProgress": true, …}. */
static inline size_t extism_client(void *answer, size_t capacity) {
    return extism_take(extism_user_get_client(), answer, capacity);
}

/* What failed last, JSON: {"code": "timeout", "message": "…", "data": {…}}; EXTISM_ABSENT where nothing did. */
static inline size_t extism_last_error(void *error, size_t capacity) {
    return extism_take(extism_user_last_error(), error, capacity);
}

#ifdef __cplusplus
}
#endif

#endif

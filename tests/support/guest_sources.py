"""Sources of the guests. Unless a comment says otherwise, a guest exports one function with the guest's own name."""

from __future__ import annotations

WAT_IMPORTS = {
    "alloc": "(param i64) (result i64)",
    "free": "(param i64)",
    "length": "(param i64) (result i64)",
    "load_u8": "(param i64) (result i32)",
    "load_u64": "(param i64) (result i64)",
    "store_u8": "(param i64 i32)",
    "store_u64": "(param i64 i64)",
    "input_length": "(result i64)",
    "input_load_u8": "(param i64) (result i32)",
    "input_load_u64": "(param i64) (result i64)",
    "output_set": "(param i64 i64)",
    "error_set": "(param i64)",
    "config_get": "(param i64) (result i64)",
    "var_get": "(param i64) (result i64)",
    "var_set": "(param i64 i64)",
    "http_request": "(param i64 i64) (result i64)",
    "http_status_code": "(result i32)",
    "http_headers": "(result i64)",
    "log_trace": "(param i64)",
    "log_debug": "(param i64)",
    "log_info": "(param i64)",
    "log_warn": "(param i64)",
    "log_error": "(param i64)",
    "get_log_level": "(result i32)",
}

C_HEADER = r"""
typedef unsigned char u8; typedef unsigned int u32; typedef int i32; typedef unsigned long long u64;
#define HOST(module, name) __attribute__((import_module(module), import_name(name)))
#define ENV(name) HOST("extism:host/env", name)
#define USER(name) HOST("extism:host/user", name)
#define EXPORT(name) __attribute__((export_name(#name))) i32 export_##name(void)
ENV("input_length") u64 input_length(void);
ENV("input_load_u8") u32 input_load_u8(u64);
ENV("alloc") u64 kernel_alloc(u64);
ENV("length") u64 kernel_length(u64);
ENV("load_u8") u32 load_u8(u64);
ENV("store_u8") void store_u8(u64, u32);
ENV("output_set") void output_set(u64, u64);
ENV("error_set") void error_set(u64);
ENV("config_get") u64 config_get(u64);
ENV("http_request") u64 http_request(u64, u64);
ENV("http_status_code") u32 http_status_code(void);
ENV("log_debug") void log_debug(u64);
ENV("log_info") void log_info(u64);
ENV("log_warn") void log_warn(u64);
ENV("log_error") void log_error(u64);

static u8 in[65536], out[65536];
static u32 in_size, out_size;
static u32 size_of(const char *s) { u32 n = 0; while (s[n]) n++; return n; }
static u64 put(const void *s, u32 n) {
  u64 at = kernel_alloc(n); for (u32 i = 0; i < n; i++) store_u8(at + i, ((const u8 *)s)[i]); return at; }
static u64 text(const char *s) { return put(s, size_of(s)); }
static void read_input(void) {
  u64 n = input_length(); in_size = n < sizeof in - 1 ? n : sizeof in - 1;
  for (u32 i = 0; i < in_size; i++) in[i] = input_load_u8(i); in[in_size] = 0; out_size = 0; }
static void add_byte(u8 c) { if (out_size < sizeof out) out[out_size++] = c; }
static void add_text(const char *s) { while (*s) add_byte(*s++); }
static void add_number(long long v) {
  char digits[24]; int n = 0; if (v < 0) { add_byte('-'); v = -v; }
  do { digits[n++] = '0' + v % 10; v /= 10; } while (v); while (n) add_byte(digits[--n]); }
static void add_block(u64 at) { u64 n = kernel_length(at); for (u64 i = 0; i < n; i++) add_byte(load_u8(at + i)); }
static i32 done(void) { output_set(put(out, out_size), out_size); return 0; }
static i32 answer(const char *s) { read_input(); add_text(s); return done(); }
static i32 fail(const char *s) { error_set(text(s)); return 1; }
/* Where the value of a JSON key starts, or 0. Good for flat test inputs, not for JSON at large. */
static const u8 *value_of(const char *key) {
  u32 n = size_of(key);
  for (u32 i = 0; i + n + 2 < in_size; i++) {
    if (in[i] != '"' || in[i + n + 1] != '"') continue;
    u32 k = 0; while (k < n && in[i + 1 + k] == (u8)key[k]) k++; if (k < n) continue;
    const u8 *p = in + i + n + 2; while (*p == ' ') p++; if (*p != ':') continue;
    p++; while (*p == ' ') p++; return p; }
  return 0; }
static long long number_of(const u8 *p) {
  long long v = 0; int minus = *p == '-'; if (minus) p++;
  while (*p >= '0' && *p <= '9') v = v * 10 + (*p++ - '0'); return minus ? -v : v; }
static void add_string_of(const u8 *p) { /* p at the opening quote; copied as it stands, escapes and all */
  for (p++; *p && *p != '"'; p++) { if (*p == '\\') add_byte(*p++); add_byte(*p); } }
static int string_is(const u8 *p, const char *s) {
  if (!p || *p != '"') return 0; u32 n = size_of(s);
  for (u32 i = 0; i < n; i++) if (p[1 + i] != (u8)s[i]) return 0; return p[1 + n] == '"'; }
"""

_TOOLS = (
    r"{\"tools\":[{\"name\":\"shout\",\"description\":\"Upper case\",\"inputSchema\":{\"type\":\"object\","
    r"\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}},"
    r"{\"name\":\"sum\",\"description\":\"Add two integers\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
    r"{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}},\"required\":[\"a\",\"b\"]}},"
    r"{\"name\":\"refuse\",\"description\":\"Always fails\",\"inputSchema\":{\"type\":\"object\"}}]}"
)

_CALL_TOOL = r"""
static i32 call_tool(void) {
  read_input(); const u8 *name = value_of("name");
  if (string_is(name, "shout")) {
    const u8 *p = value_of("text"); if (!p) return fail("missing text");
    add_text("{\"content\":[{\"type\":\"text\",\"text\":\""); u32 from = out_size; add_string_of(p);
    for (u32 i = from; i < out_size; i++) if (out[i] >= 'a' && out[i] <= 'z') out[i] -= 32;
    add_text("\"}]}"); return done(); }
  if (string_is(name, "sum")) {
    const u8 *a = value_of("a"), *b = value_of("b"); if (!a || !b) return fail("missing a or b");
    long long v = number_of(a) + number_of(b);
    add_text("{\"content\":[{\"type\":\"text\",\"text\":\""); add_number(v);
    add_text("\"}],\"structuredContent\":{\"sum\":"); add_number(v); add_text("}}"); return done(); }
  if (string_is(name, "refuse")) {
    add_text("{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"refused on purpose\"}]}"); return done(); }
  return fail("unknown tool"); }
"""

# Every import of hyper-mcp's plugins. The tool `use` calls one: {"function": its name, "block": the text that it takes}
# -> what it gives, as text. Its function `request` gives the whole request, and `interview` tells of its progress and
# of its request's id before and after it asks for the form in "block". `setting` reads {"key"} from the config. With
# `mimeType` on text, as mcp.run has it.
_SURFACE_TOOLS = (
    r"{\"tools\":[{\"name\":\"use\",\"inputSchema\":{\"type\":\"object\"}},"
    r"{\"name\":\"setting\",\"inputSchema\":{\"type\":\"object\"}},"
    r"{\"name\":\"debug_dump\",\"inputSchema\":{\"type\":\"object\"}}]}"
)
_SURFACE = r"""
USER("create_elicitation") u64 create_elicitation(u64); USER("create_message") u64 create_message(u64);
USER("get_access_token") u64 get_access_token(u64); USER("get_keyring_secret") u64 get_keyring_secret(u64);
USER("list_roots") u64 list_roots(void);
USER("notify_logging_message") void notify_logging_message(u64); USER("notify_progress") void notify_progress(u64);
USER("notify_resource_updated") void notify_resource_updated(u64);
USER("notify_url_elicitation_completed") void notify_url_elicitation_completed(u64);
USER("notify_tool_list_changed") void notify_tool_list_changed(void);
USER("notify_prompt_list_changed") void notify_prompt_list_changed(void);
USER("notify_resource_list_changed") void notify_resource_list_changed(void);
static u64 block_of(const char *key) { /* a JSON string, unescaped, as a block */
  static u8 text[65536]; u32 n = 0; const u8 *p = value_of(key); if (!p) return 0;
  for (p++; *p && *p != '"' && n < sizeof text; p++) { if (*p == '\\') p++; text[n++] = *p; }
  return put(text, n); }
static void begin(void) { add_text("{\"content\":[{\"type\":\"text\",\"mimeType\":\"text/plain\",\"text\":\""); }
static i32 end(u64 at) { u64 n = at ? kernel_length(at) : 0;
  for (u64 i = 0; i < n; i++) { u8 c = load_u8(at + i); if (c == '"' || c == '\\') add_byte('\\'); add_byte(c); }
  add_text("\"}]}"); return done(); }
/* The value of a key as JSON, where it is a text or a number. */
static int add_scalar(const char *key) { const u8 *p = value_of(key); if (!p) return 0;
  if (*p == '"') { add_byte('"'); add_string_of(p); add_byte('"'); } else add_number(number_of(p)); return 1; }
static void tell(int step) { out_size = 0; add_text("{\"progressToken\":");
  if (add_scalar("progressToken")) { add_text(",\"progress\":"); add_number(step); add_text(",\"total\":2}");
    notify_progress(put(out, out_size)); }
  out_size = 0; add_text("{\"level\":\"info\",\"logger\":\"interview\",\"data\":");
  if (!add_scalar("id")) add_text("null"); add_text("}"); notify_logging_message(put(out, out_size)); out_size = 0; }
static i32 interview(u64 form) { tell(1); u64 answer = create_elicitation(form); tell(2); begin(); return end(answer); }
static i32 surface(void) {
  read_input(); const u8 *tool = value_of("name"), *f = value_of("function"); u64 block = block_of("block"); begin();
  if (string_is(tool, "setting")) return end(config_get(block_of("key")));
  if (string_is(tool, "debug_dump")) return end(0);
  if (string_is(f, "request")) return end(put(in, in_size));
  if (string_is(f, "interview")) return interview(block);
  if (string_is(f, "create_elicitation")) return end(create_elicitation(block));
  if (string_is(f, "create_message")) return end(create_message(block));
  if (string_is(f, "get_access_token")) return end(get_access_token(block));
  if (string_is(f, "get_keyring_secret")) return end(get_keyring_secret(block));
  if (string_is(f, "list_roots")) return end(list_roots());
  if (string_is(f, "notify_logging_message")) notify_logging_message(block);
  else if (string_is(f, "notify_progress")) notify_progress(block);
  else if (string_is(f, "notify_resource_updated")) notify_resource_updated(block);
  else if (string_is(f, "notify_url_elicitation_completed")) notify_url_elicitation_completed(block);
  else if (string_is(f, "notify_tool_list_changed")) notify_tool_list_changed();
  else if (string_is(f, "notify_prompt_list_changed")) notify_prompt_list_changed();
  else if (string_is(f, "notify_resource_list_changed")) notify_resource_list_changed();
  else if (string_is(f, "length_of_secret")) { /* of the block that a denied secret is */
    u64 at = get_keyring_secret(block); add_number(at ? kernel_length(at) : 0); }
  else return fail("no such function");
  return end(0); }
"""

# mcp.run: settings as config, its own config_get as a stub, WASI, and flat content of every kind that it has.
_MCP_RUN = r"""
USER("config_get") u64 user_config_get(u64);
HOST("wasi_snapshot_preview1", "random_get") u32 random_get(void *, u32);
EXPORT(describe) { return answer("{\"tools\":[{\"name\":\"show\",\"description\":\"Shows all content\","
  "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"}}}}]}"); }
EXPORT(call) { u8 dice[4]; read_input(); if (random_get(dice, 4)) return fail("no random bytes");
  const u8 *p = value_of("key"); if (!p) return fail("give a key");
  u32 n = 0; while (p[1 + n] != '"') n++; /* the runtime frees a key */
  u64 mine = config_get(put(p + 1, n)), stub = user_config_get(put(p + 1, n));
  add_text("{\"content\":[{\"type\":\"text\",\"mimeType\":\"text/plain\",\"text\":\""); if (mine) add_block(mine);
  add_text("|"); if (stub) add_block(stub);
  add_text("\"},{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"aW1hZ2U=\","
    "\"annotations\":{\"audience\":[\"user\"],\"priority\":0.5}},"
    "{\"type\":\"resource\",\"mimeType\":\"text/plain\",\"text\":\"inside\"}],\"isError\":");
  add_text(value_of("refuse") ? "true}" : "false}"); return done(); }
"""

# WASI's file functions without a C library, so that a guest can send what no library would. The input is one line,
# `OPERATION FOLDER PATH [FOLDER PATH|NUMBER]`: a folder is a preopened descriptor's guest path, `%xx` in a path any
# byte. Output "ok …", or an error "errno N" with WASI's number.
# https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
_FILES = r"""
#define WASI(name) HOST("wasi_snapshot_preview1", #name) u32 name
WASI(fd_prestat_get)(u32, void *); WASI(fd_prestat_dir_name)(u32, void *, u32);
WASI(path_open)(u32, u32, const void *, u32, u32, u64, u64, u32, u32 *);
WASI(fd_read)(u32, void *, u32, u32 *); WASI(fd_write)(u32, const void *, u32, u32 *);
WASI(fd_pwrite)(u32, const void *, u32, u64, u32 *); WASI(fd_close)(u32);
WASI(fd_readdir)(u32, void *, u32, u64, u32 *); WASI(fd_filestat_set_size)(u32, u64); WASI(fd_allocate)(u32, u64, u64);
WASI(path_symlink)(const void *, u32, u32, const void *, u32);
WASI(path_link)(u32, u32, const void *, u32, u32, const void *, u32);
WASI(path_rename)(u32, const void *, u32, u32, const void *, u32);
WASI(path_unlink_file)(u32, const void *, u32); WASI(path_create_directory)(u32, const void *, u32);
WASI(path_remove_directory)(u32, const void *, u32);
WASI(path_readlink)(u32, const void *, u32, void *, u32, u32 *);
WASI(path_filestat_set_times)(u32, u32, const void *, u32, u64, u64, u32);
static u8 data[32768], names[1048577], *free_name = names, *word; static u32 length, folder;
static i32 failed(u32 number) { out_size = 0; add_text("errno "); add_number(number); add_byte(0);
  return fail((const char *)out); }
static int hex(u8 c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }
static void next_word(void) { word = free_name; length = 0; static u32 at; while (in[at] == ' ') at++;
  while (at < in_size && in[at] != ' ') { u8 c = in[at++];
    if (c == '%') { c = hex(in[at]) * 16 + hex(in[at + 1]); at += 2; } word[length++] = c; }
  word[length] = 0; free_name += length + 1; }
static int is(const char *s) { u32 n = size_of(s); if (n != length) return 0;
  for (u32 i = 0; i < n; i++) if (word[i] != (u8)s[i]) return 0; return 1; }
static long long next_number(void) { next_word(); return number_of(word); }
static u32 find_folder(void) { next_word(); for (u32 fd = 3; fd < 20; fd++) { u32 stat[2]; u8 name[256];
    if (fd_prestat_get(fd, stat) || stat[1] != length || fd_prestat_dir_name(fd, name, stat[1])) continue;
    u32 i = 0; while (i < length && name[i] == word[i]) i++; if (i == length) return folder = fd; }
  return folder = 99; }
static u32 open_file(u32 flags, u64 rights, u32 *fd) {
  return path_open(folder, 1, word, length, flags, rights, 0, 0, fd); }
#define READ 2ull
#define WRITE 64ull
#define TRY(call) do { u32 number = (call); if (number) return failed(number); } while (0)
static i32 read_file(u32 follow) { u32 fd, got; TRY(path_open(folder, follow, word, length, 0, READ, 0, 0, &fd));
  u32 vector[2] = {(u32)data, sizeof data}; TRY(fd_read(fd, vector, 1, &got)); add_text("ok ");
  for (u32 i = 0; i < got; i++) add_byte(data[i]); return done(); }
static i32 list(void) { u32 fd, got; TRY(path_open(folder, 1, word, length, 2, 1 << 14, 0, 0, &fd));
  TRY(fd_readdir(fd, data, sizeof data, 0, &got)); add_text("ok");
  for (u32 at = 0; at + 24 <= got;) { u32 n = *(u32 *)(data + at + 16); at += 24; add_byte(' ');
    for (u32 i = 0; i < n && at + i < got; i++) add_byte(data[at + i]); at += n; } return done(); }
static i32 roots(void) { add_text("ok"); for (u32 fd = 3; fd < 20; fd++) { u32 stat[2]; u8 name[256];
    if (fd_prestat_get(fd, stat) || fd_prestat_dir_name(fd, name, stat[1])) continue; add_byte(' ');
    for (u32 i = 0; i < stat[1]; i++) add_byte(name[i]); } return done(); }
static i32 two_paths(int operation) { u8 *first = word; u32 n = length, from = folder, to = find_folder(); next_word();
  TRY(operation ? path_rename(from, first, n, to, word, length) : path_link(from, 0, first, n, to, word, length));
  return answer("ok"); }
static i32 flood(void) { u32 fd; long long n = 0; u32 number;
  while (!(number = open_file(0, READ, &fd))) n++; return failed(number); }
static i32 fill(void) { long long n = next_number(); for (long long i = 0; i < n; i++) {
    u32 fd; u8 name[9] = "00000000"; long long rest = i;
    for (int k = 7; rest; k--) { name[k] = '0' + rest % 10; rest /= 10; }
    TRY(path_open(folder, 0, name, 8, 1, WRITE, 0, 0, &fd)); TRY(fd_close(fd)); } return answer("ok"); }
static i32 swallow(void) { u32 fd, got; TRY(open_file(0, READ, &fd)); u32 vector[2] = {(u32)data, sizeof data};
  do TRY(fd_read(fd, vector, 1, &got)); while (1); }
static i32 long_name(void) { for (u32 i = 0; i < 1048576; i++) names[i] = 'a'; word = names; length = 1048576;
  return read_file(1); }
static i32 write_at(void) { u32 fd, got; TRY(open_file(1, WRITE, &fd)); long long at = next_number();
  u32 vector[2] = {(u32)"written", 7}; TRY(fd_pwrite(fd, vector, 1, at, &got)); return answer("ok"); }
static i32 resize(int allocate) { u32 fd; TRY(open_file(1, WRITE | 1 << 8 | 1 << 22, &fd)); long long n = next_number();
  TRY(allocate ? fd_allocate(fd, 0, n) : fd_filestat_set_size(fd, n)); return answer("ok"); }
static i32 change(u8 *what) {
  switch (*what) {
    case 'w': return write_at();
    case 's': return resize(0);
    case 'a': return resize(1);
    case 't': { u32 fd; TRY(open_file(8, WRITE, &fd)); return answer("ok"); }
    case 'd': TRY(path_create_directory(folder, word, length)); return answer("ok");
    case 'D': TRY(path_remove_directory(folder, word, length)); return answer("ok");
    case 'u': TRY(path_unlink_file(folder, word, length)); return answer("ok");
    case 'T': TRY(path_filestat_set_times(folder, 1, word, length, 0, 0, 5)); return answer("ok");
    case 'l': return two_paths(0);
    case 'm': return two_paths(1);
    case 'S': { u8 *name = word; u32 n = length; next_word();
      TRY(path_symlink(word, length, folder, name, n)); return answer("ok"); }
  } return fail("no such operation"); }
EXPORT(files) { read_input(); next_word(); u8 *what = word; if (is("roots")) return roots();
  find_folder(); if (*what == 'L') return long_name(); next_word();
  switch (*what) {
    case 'r': return read_file(1);
    case 'R': return read_file(0);
    case 'i': return list();
    case 'f': return flood();
    case 'F': return fill();
    case 'z': return swallow();
    case 'k': { u32 got; TRY(path_readlink(folder, word, length, data, sizeof data, &got)); return answer("ok"); }
  } return change(what); }
"""

C_SOURCES = {
    # any bytes up to 64 KiB, returned as they came
    "echo": "EXPORT(echo) { read_input(); for (u32 i = 0; i < in_size; i++) add_byte(in[i]); return done(); }",
    # {"name": s} -> {"greeting": "Hello, s!"}
    "greet": r"""EXPORT(greet) { read_input(); const u8 *p = value_of("name"); if (!p) return fail("missing name");
      add_text("{\"greeting\":\"Hello, "); add_string_of(p); add_text("!\"}"); return done(); }""",
    # {"a": i, "b": j} -> {"sum": i + j}
    "add": r"""EXPORT(add) { read_input(); const u8 *a = value_of("a"), *b = value_of("b");
      if (!a || !b) return fail("missing a or b");
      add_text("{\"sum\":"); add_number(number_of(a) + number_of(b)); add_text("}"); return done(); }""",
    # arguments -> plain text "N words"
    "words": r"""EXPORT(words) { read_input(); const u8 *p = value_of("text"); if (!p) return fail("missing text");
      int n = 0, inside = 0; for (p++; *p && *p != '"'; p++) {
        if (*p == ' ') inside = 0; else if (!inside) { inside = 1; n++; } }
      add_number(n); add_text(" words"); return done(); }""",
    # calls f(n) on the input number: CPU-bound work, about 5 instructions for each round
    "work": r"""EXPORT(work) { read_input(); u32 n = number_of(in); volatile u32 x = 1;
      for (u32 i = 0; i < n; i++) x = x * 1664525u + 1013904223u; add_number(x); return done(); }""",
    # the value of the config key given as input, or "none"
    "config": r"""EXPORT(config) { read_input(); u64 at = config_get(put(in, in_size));
      if (at) add_block(at); else add_text("none"); return done(); }""",
    # mcp.run's stub: config_get in extism:host/user, JSON in and out
    "user_config": r"""USER("config_get") u64 user_config_get(u64);
      EXPORT(user_config) { read_input(); u64 at = user_config_get(put(in, in_size));
      if (at) add_block(at); else add_text("none"); return done(); }""",
    # the input is the URL; output is the body, after the status
    "http": r"""EXPORT(http) { read_input();
      u8 url[1024]; u32 n = in_size < 1000 ? in_size : 1000; for (u32 i = 0; i < n; i++) url[i] = in[i];
      add_text("{\"method\":\"GET\",\"url\":\""); for (u32 i = 0; i < n; i++) add_byte(url[i]);
      add_text("\",\"headers\":{}}"); u64 at = http_request(put(out, out_size), 0); out_size = 0;
      add_number(http_status_code()); add_byte(' '); if (at) add_block(at); return done(); }""",
    # two i64 arguments to an unknown host function of the user's namespace
    "host_function": r"""USER("lookup") u64 lookup(u64);
      EXPORT(host_function) { read_input(); u64 at = lookup(put(in, in_size));
      if (at) add_block(at); else add_text("nothing"); return done(); }""",
    # calls an unknown host function and then spins: proves that the denial ends the call at once
    "host_function_then_spin": r"""USER("lookup") u64 lookup(u64);
      EXPORT(host_function_then_spin) { volatile u32 x = lookup(text("key")); while (1) x++; return 0; }""",
    # one line on each level, then the input echoed
    "logs": r"""EXPORT(logs) { read_input(); log_debug(text("a debug line")); log_info(text("an info line"));
      log_warn(text("a warning")); log_error(text("an error line")); add_text("logged"); return done(); }""",
    # the input number of log lines
    "log_flood": r"""EXPORT(log_flood) { read_input(); long long n = number_of(in); u64 line = text("flood");
      while (n-- > 0) log_error(line); add_text("flooded"); return done(); }""",
    # output of as many bytes as the input number says
    "big_output": r"""EXPORT(big_output) { read_input(); u64 n = number_of(in); u64 at = kernel_alloc(n);
      for (u64 i = 0; i < n; i += 4096) store_u8(at + i, 'x'); output_set(at, n); return 0; }""",
    "error": 'EXPORT(error) { return fail("the thing is broken: bring a new one"); }',
    # error_set and return code 0
    "error_with_success_code": 'EXPORT(error_with_success_code) { error_set(text("said no")); return 0; }',
    "error_not_utf8": r'EXPORT(error_not_utf8) { return fail("bad \xff\xfe bytes"); }',
    # an error of 100,000 bytes
    "error_long": r"""EXPORT(error_long) { u64 at = kernel_alloc(100000);
      for (u32 i = 0; i < 100000; i++) store_u8(at + i, 'e'); error_set(at); return 1; }""",
    "not_utf8": r'EXPORT(not_utf8) { read_input(); add_text("\xff\xfe\x80"); return done(); }',
    "not_json": 'EXPORT(not_json) { return answer("{this is not JSON"); }',
    # a tool result of one PNG image block
    "image": r"""EXPORT(image) { return answer("{\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":"
      "\"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\"}]}"); }""",
    # mcp.run / hyper-mcp v1: describe + call, tools shout, sum, refuse
    "servlet": _CALL_TOOL + f'EXPORT(describe) {{ return answer("{_TOOLS}"); }} EXPORT(call) {{ return call_tool(); }}',
    # hyper-mcp v2: list_tools + call_tool, the same tools
    "hyper_v2": _CALL_TOOL
    + f'EXPORT(list_tools) {{ return answer("{_TOOLS}"); }} EXPORT(call_tool) {{ return call_tool(); }}',
    # the whole import list of hyper-mcp, as a plugin of either generation; see above
    "hyper_v1_surface": _SURFACE
    + f'EXPORT(describe) {{ return answer("{_SURFACE_TOOLS}"); }} EXPORT(call) {{ return surface(); }}',
    "hyper_v2_surface": _SURFACE
    + f'EXPORT(list_tools) {{ return answer("{_SURFACE_TOOLS}"); }} EXPORT(call_tool) {{ return surface(); }}',
    "mcp_run_surface": _MCP_RUN,
    # needs WASI; see above
    "files": _FILES,
    # describe that traps
    "servlet_broken": 'EXPORT(describe) { __builtin_trap(); } EXPORT(call) { return answer("{}"); }',
}

WAT_SOURCES = {
    "spin": '(func (export "spin") (result i32) (loop $again (br $again)) (i32.const 0))',
    "trap": '(func (export "trap") (result i32) unreachable)',
    "divide": """(func (export "divide") (result i32)
      (i32.div_u (i32.const 1) (i32.wrap_i64 (call $input_length ))))""",
    "out_of_bounds": """(memory 1) (func (export "out_of_bounds") (result i32) (i32.load (i32.const 99999999)))""",
    "code7": '(func (export "code7") (result i32) (i32.const 7))',
    "void": '(func (export "void"))',
    # the input as output, however long it is
    "echo_all": """(func (export "echo_all") (result i32) (local $size i64) (local $to i64) (local $i i64)
        (local.set $size (call $input_length)) (local.set $to (call $alloc (local.get $size)))
        (loop $words (if (i64.le_u (i64.add (local.get $i) (i64.const 8)) (local.get $size)) (then
          (call $store_u64 (i64.add (local.get $to) (local.get $i)) (call $input_load_u64 (local.get $i)))
          (local.set $i (i64.add (local.get $i) (i64.const 8))) (br $words))))
        (loop $bytes (if (i64.lt_u (local.get $i) (local.get $size)) (then
          (call $store_u8 (i64.add (local.get $to) (local.get $i)) (call $input_load_u8 (local.get $i)))
          (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $bytes))))
        (call $output_set (local.get $to) (local.get $size)) (i32.const 0))""",
    # grows until it may not, then asks the kernel for one more gigabyte
    "memory_bomb": """(memory (export "memory") 1)
      (func (export "memory_bomb") (result i32)
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (drop (call $alloc (i64.const 1073741824))) (i32.const 0))""",
    # tables are outside of max_pages: only the worker's own memory limit stops this
    "table_bomb": """(table $t 1 funcref)
      (func (export "table_bomb") (result i32)
        (loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1))))
        (loop $spin (br $spin)) (i32.const 0))""",
    "stack_overflow": '(func $deep (export "stack_overflow") (result i32) (i32.add (call $deep) (i32.const 1)))',
    # answers how often this instance was called: "1" in a fresh one
    "counter": """(global $calls (mut i32) (i32.const 0))
      (func (export "counter") (result i32) (local $at i64)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (local.set $at (call $alloc (i64.const 1)))
        (call $store_u8 (local.get $at) (i32.add (i32.const 48) (global.get $calls)))
        (call $output_set (local.get $at) (i64.const 1)) (i32.const 0))""",
    # needs WASI; sleeps one hour, which no epoch interrupts
    "sleep": """(import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "sleep") (result i32)
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))""",
    # needs WASI; ends itself with code 3
    "wasi_exit": """(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "wasi_exit") (result i32) (call $exit (i32.const 3)) (i32.const 0))""",
    # loops while it is being instantiated; no timeout of Extism's applies there
    "start_loop": """(func $forever (loop $again (br $again))) (start $forever)
      (func (export "start_loop") (result i32) (i32.const 0))""",
    "initialize_loop": """(func (export "_initialize") (loop $again (br $again)))
      (func (export "initialize_loop") (result i32) (i32.const 0))""",
    # a host function called from the start function crashes the process that makes the instance
    "start_log": """(func $talk (call $log_error (call $alloc (i64.const 8)))) (start $talk)
      (func (export "start_log") (result i32) (i32.const 0))""",
    # claims an output far larger than the kernel's memory
    "forged_output": """(func (export "forged_output") (result i32)
      (call $output_set (i64.const 8) (i64.const 1099511627776)) (i32.const 0))""",
    # 1 GiB of memory from the start, far above any limit
    "big_memory": """(memory (export "memory") 16384) (func (export "big_memory") (result i32) (i32.const 0))""",
    # writes 1 MB variables until refused
    "var_bomb": """(global $i (mut i64) (i64.const 0))
      (func (export "var_bomb") (result i32) (local $at i64) (local $key i64)
        (loop $again
          (local.set $key (call $alloc (i64.const 8)))
          (call $store_u64 (local.get $key) (i64.add (global.get $i) (i64.const 3472328296227680304)))
          (global.set $i (i64.add (global.get $i) (i64.const 1)))
          (local.set $at (call $alloc (i64.const 200000)))
          (call $var_set (local.get $key) (local.get $at))
          (br_if $again (i64.lt_u (global.get $i) (i64.const 1000)))) (i32.const 0))""",
    # reaches over the header of the kernel's output block and forges its length
    "forged_block": """(func (export "forged_block") (result i32) (local $at i64)
        (local.set $at (call $alloc (i64.const 64)))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 16)) (i64.const -1))
        (call $store_u64 (i64.sub (local.get $at) (i64.const 8)) (i64.const -1))
        (call $error_set (local.get $at)) (i32.const 1))""",
}

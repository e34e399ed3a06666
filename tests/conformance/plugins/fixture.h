/* What the fixtures share, behind the helpers of tests/support/guest_sources.py. */

/* JSON as it is written, as a C text: brackets may be left open, quotes may not. */
#define JSON(...) #__VA_ARGS__

#define RED_PIXEL JSON("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC")
#define SILENCE JSON("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==")

USER("ask_client") u64 ask_client(u64);
USER("notify_client") void notify_client(u64);
USER("get_client") u64 get_client(void);
HOST("wasi_snapshot_preview1", "poll_oneoff") u32 poll_oneoff(const void *, void *, u32, u32 *);

/* A member's text as it stands in the input, with its quotes; an empty one where it is not there. */
static inline void add_member(const char *key) {
  const u8 *p = value_of(key); add_byte('"'); if (p && *p == '"') add_string_of(p); add_byte('"'); }
/* Hands what was added to a host function, and begins anew. */
static inline u64 take(void) { u64 at = put(out, out_size); out_size = 0; return at; }
static inline void notify(const char *notice) { notify_client(text(notice)); }
/* Replaces the input by a block, so that `value_of` looks there. */
static inline void read_block(u64 at) {
  u64 n = kernel_length(at); in_size = n < sizeof in - 1 ? n : sizeof in - 1;
  for (u32 i = 0; i < in_size; i++) in[i] = load_u8(at + i);
  in[in_size] = 0; }
/* Asks the client. Where it cannot be asked this is 0, and the guest only has to fail for the server to say why. */
static inline int ask(const char *requests) {
  u64 at = ask_client(text(requests)); if (at) read_block(at);
  return at != 0; }
/* All of the input inside of a JSON text. */
static inline void add_escaped_input(void) {
  for (u32 i = 0; i < in_size; i++) { if (in[i] == '"' || in[i] == '\\') add_byte('\\'); add_byte(in[i]); } }
/* A result of one text. */
static inline void begin_text(void) { out_size = 0; add_text(JSON({"content":[{"type":"text","text":)); add_byte('"'); }
static inline i32 end_text(void) { add_text("\"}]}"); return done(); }
static inline i32 answer_text(const char *s) { begin_text(); add_text(s); return end_text(); }
static inline i32 answer_with_member(const char *before, const char *key, const char *after) {
  begin_text(); add_text(before); const u8 *p = value_of(key); if (p && *p == '"') add_string_of(p);
  add_text(after); return end_text(); }
/* Sleeps; the event lies as WASI has it: user data, clock, a relative time in nanoseconds. */
static inline void sleep_ms(u64 ms) {
  u64 subscription[6] = {0, 0, 1, ms * 1000000, 0, 0}, event[4]; u32 count;
  poll_oneoff(subscription, event, 1, &count); }

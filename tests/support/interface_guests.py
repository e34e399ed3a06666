"""Guests that use the host interface, by the name of their one export; `interface_guest` gives the wasm bytes."""

from __future__ import annotations

import functools

from tests.support.guests import compile_c

_INTERFACE = r"""
USER("log") void user_log(u64); USER("http_get") u64 http_get(u64); USER("get_current_time") u64 get_current_time(void);
USER("call_tool") u64 call_tool(u64); USER("last_error") u64 last_error(void);
USER("ask_client") u64 ask_client(u64); USER("notify_client") void notify_client(u64);
USER("get_client") u64 get_client(void);
#define FORM(key, field, type) "{\"requests\":{\"" key "\":{\"method\":\"elicitation/create\",\"params\":" \
  "{\"message\":\"" key "?\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"" field "\":" \
  "{\"type\":\"" type "\"}}}}}}}"
static void add_answer(const char *name, u64 at) { add_text(out_size ? ",\"" : "{\""); add_text(name); add_text("\":");
  add_block(at ? at : last_error()); }
/* What the host answered as the text of an object's member: {"answer": …}, or {"error": …} where it failed. */
static i32 report(u64 at) { out_size = 0;
  if (at) { add_text("{\"answer\":"); add_block(at); }
  else { add_text("{\"error\":"); add_block(last_error()); }
  add_text("}"); return done(); }
"""

INTERFACE_SOURCES = {
    # the input is the request of call_tool; what comes back is the result, an error as {"error": …} of the result
    "relay": r"""EXPORT(relay) { read_input(); u64 at = call_tool(put(in, in_size));
      if (at) { add_block(at); return done(); }
      add_text("{\"content\":[],\"structuredContent\":{\"error\":"); add_block(last_error()); add_text("}}");
      return done(); }""",
    # the same, but that it does not look whether it went well
    "heedless": r"""EXPORT(heedless) { read_input(); call_tool(put(in, in_size));
      return answer("{\"content\":[]}"); }""",
    # the same, and then it fails with words of its own
    "bewildered": r"""EXPORT(bewildered) { read_input(); call_tool(put(in, in_size)); return fail("no idea"); }""",
    # calls until a call fails: {"calls": how many went well, "error": …}
    "insist": r"""EXPORT(insist) { read_input(); u64 request = put(in, in_size); long long n = 0;
      while (call_tool(request)) n++;
      add_text("{\"calls\":"); add_number(n); add_text(",\"error\":"); add_block(last_error()); add_text("}");
      return done(); }""",
    "call_tool": "EXPORT(call_tool) { read_input(); return report(call_tool(put(in, in_size))); }",
    "http_get": "EXPORT(http_get) { read_input(); return report(http_get(put(in, in_size))); }",
    "get_current_time": "EXPORT(get_current_time) { read_input(); return report(get_current_time()); }",
    # fails without a word where its client cannot be asked
    "rely": """EXPORT(rely) { read_input(); if (!ask_client(put(in, in_size))) return 1;
      return answer("{\\"answer\\":{}}"); }""",
    "ask_client": "EXPORT(ask_client) { read_input(); return report(ask_client(put(in, in_size))); }",
    "notify_client": r"""EXPORT(notify_client) { read_input(); notify_client(put(in, in_size)); u64 at = last_error();
      if (at) { add_text("{\"error\":"); add_block(at); add_text("}"); return done(); }
      return answer("{\"answer\":null}"); }""",
    "get_client": "EXPORT(get_client) { read_input(); return report(get_client()); }",
    # tells of progress, asks the time, calls sums_add, asks its client twice, and says all that it learned
    "survey": r"""EXPORT(survey) { read_input();
      notify_client(text("{\"method\":\"notifications/progress\",\"params\":{\"progress\":1,\"total\":2}}"));
      u64 time = get_current_time();
      u64 sum = call_tool(text("{\"name\":\"sums_add\",\"arguments\":{\"a\":1,\"b\":2}}"));
      u64 name = ask_client(text(FORM("name", "text", "string")));
      u64 age = ask_client(text(FORM("age", "years", "integer")));
      notify_client(text("{\"method\":\"notifications/progress\",\"params\":{\"progress\":2,\"total\":2}}"));
      add_answer("time", time); add_answer("sum", sum); add_answer("name", name); add_answer("age", age);
      add_text("}"); return done(); }""",
    # asks its client another thing each time
    "fickle": r"""
      __attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get"))) i32 random_get(void *, u32);
      EXPORT(fickle) { static char request[] = FORM("~~~~~~~~", "a", "string"); u8 dice[8];
      if (random_get(dice, 8)) return fail("no random bytes");
      for (u32 i = 0, n = 0; i < sizeof request; i++) if (request[i] == '~') request[i] = 'a' + (dice[n++ & 7] & 15);
      return report(ask_client(text(request))); }""",
    # tells its client of ever more progress, in long words
    "chatter": r"""EXPORT(chatter) { static char line[60000] = "{\"method\":\"notifications/progress\",\"params\":"
      "{\"progress\":1,\"message\":\""; u32 n = size_of(line); while (n < sizeof line - 4) line[n++] = 'x';
      line[n++] = '"'; line[n++] = '}'; line[n++] = '}'; u64 at = put(line, n); while (1) notify_client(at); }""",
    # asks its client again and again
    "nag": r"""EXPORT(nag) { u64 request = text(FORM("nag", "a", "string")); u32 n = 0;
      while (ask_client(request)) n++;
      add_text("{\"asked\":"); add_number(n); add_answer("error", last_error()); add_text("}"); return done(); }""",
    # calls the tool that its input names, and reports
    "pass_on": r"""EXPORT(pass_on) { read_input(); u64 time = get_current_time();
      u64 at = call_tool(put(in, in_size)); add_answer("time", time); add_answer("result", at);
      add_text("}"); return done(); }""",
    # {"answer": null} where the line was taken
    "log": r"""EXPORT(log) { read_input(); user_log(put(in, in_size)); u64 at = last_error();
      if (at) { add_text("{\"error\":"); add_block(at); add_text("}"); return done(); }
      return answer("{\"answer\":null}"); }""",
    "last_error": r"""EXPORT(last_error) { read_input(); u64 at = last_error();
      return at ? report(at) : answer("{\"answer\":null}"); }""",
}


@functools.cache
def interface_guest(name: str) -> bytes:
    """The wasm bytes of one of them."""
    return compile_c(_INTERFACE + INTERFACE_SOURCES[name])

"""The guest that asks for whatever its arguments say: a plugin as any author would write it in C."""

from __future__ import annotations

import functools

from tests.support.guests import compile_c

_SOURCE = r"""
ENV("http_headers") u64 http_headers(void);

/* {"url", "method", "headers"} is handed to http_request as it is, "times" times; "body" is a text without escapes.
   Answers with four lines: status, headers, length of the body, the body where it is not long. */
EXPORT(fetch) {
  read_input();
  const u8 *given = value_of("body"), *times = value_of("times");
  u64 body = 0, at = 0;
  if (given) { add_string_of(given); body = put(out, out_size); out_size = 0; }
  for (long long left = times ? number_of(times) : 1; left > 0; left--) at = http_request(put(in, in_size), body);
  add_number(http_status_code()); add_byte('\n');
  u64 headers = http_headers(); if (headers) add_block(headers); add_byte('\n');
  add_number(at ? kernel_length(at) : 0); add_byte('\n');
  if (at && kernel_length(at) < 40000) add_block(at);
  return done();
}

/* Fetches, then says what "say" holds: in the log, and as the result or, with "fail", as the error. */
EXPORT(fetch_and_tell) {
  read_input(); http_request(put(in, in_size), 0);
  const u8 *p = value_of("say"); if (p) add_string_of(p);
  u64 said = put(out, out_size); log_error(said);
  if (value_of("fail")) { error_set(said); return 1; }
  return done();
}
"""


@functools.cache
def fetching_guest() -> bytes:
    """Its wasm bytes."""
    return compile_c(_SOURCE)

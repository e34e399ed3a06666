"""Guests with prompts, resources, templates and completions; `item_guest` gives the wasm bytes of one by its name."""

from __future__ import annotations

import functools
import json
from typing import Any

from tests.support.guests import compile_c

Json = dict[str, Any]

_COMMON = r"""
USER("notify_resource_updated") u64 notify_resource_updated(u64);
USER("notify_tool_list_changed") void notify_tool_list_changed(void);
USER("notify_prompt_list_changed") void notify_prompt_list_changed(void);
USER("notify_resource_list_changed") void notify_resource_list_changed(void);
/* What was read, as the inside of a JSON string. */
static void add_input(void) {
  for (u32 i = 0; i < in_size; i++) { if (in[i] == '"' || in[i] == '\\') add_byte('\\'); add_byte(in[i]); } }
static i32 prompt(void) { read_input();
  add_text("{\"description\":\"made\",\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"");
  add_input(); add_text("\"}},{\"role\":\"assistant\",\"content\":{\"type\":\"image\",\"data\":\"AP8=\","
    "\"mimeType\":\"image/png\"}}]}"); return done(); }
static i32 contents(void) { read_input(); add_text("{\"contents\":[{\"mimeType\":\"text/plain\",\"text\":\"");
  add_input(); add_text("\"},{\"uri\":\"other://part\",\"blob\":\"AP8=\"}]}"); return done(); }
static i32 completion(void) { read_input();
  add_text("{\"completion\":{\"values\":[\""); add_input(); add_text("\",\"b\"],\"total\":2,\"hasMore\":false}}");
  return done(); }
"""

LISTS: Json = {
    "list_prompts": {
        "prompts": [
            {
                "name": "greet",
                "title": "Greet",
                "description": "Greets somebody.",
                "arguments": [{"name": "who", "required": True}, {"name": "how", "description": "A tone."}],
            },
            {"name": "bad\u200bname"},
            {"name": "greet", "description": "again"},
            {"description": "nameless"},
        ]
    },
    "list_resources": {
        "resources": [
            {
                "uri": "hyper://today",
                "name": "today",
                "mimeType": "text/plain",
                "size": 5,
                "annotations": {"priority": 1},
            },
            {"uri": "no uri", "name": "bad"},
        ]
    },
    "list_resource_templates": {
        "resourceTemplates": [
            {"uriTemplate": "hyper://notes/{folder}/{name}", "name": "notes", "_meta": {"a": 1, "tool-server/x": 2}},
            {"uriTemplate": "hyper://{", "name": "bad"},
        ]
    },
}


def _answers(export: str, document: Json) -> str:
    return f"EXPORT({export}) {{ return answer({json.dumps(json.dumps(document))}); }}"


_SOURCES = {
    # a typed plugin: what is asked comes back as text. `touch` tells of {"uri": …} and of all lists
    "items": r"""EXPORT(get_prompt) { return prompt(); }
      EXPORT(read_resource) { return contents(); }
      EXPORT(complete) { return completion(); }
      EXPORT(touch) { read_input(); const u8 *p = value_of("uri");
        if (p) { add_text("{\"uri\":\""); add_string_of(p); add_text("\"}");
          notify_resource_updated(put(out, out_size)); out_size = 0; }
        else { notify_tool_list_changed(); notify_prompt_list_changed(); notify_resource_list_changed(); }
        return answer("{}"); }""",
    # says again and again that its lists have changed
    "chatter": r"""EXPORT(get_prompt) { return prompt(); }
      EXPORT(touch) { for (int i = 0; i < 500; i++) notify_prompt_list_changed(); return answer("{}"); }""",
    # the same in the envelopes of hyper-mcp v2, without any tool
    "hyper_items": "\n".join(
        [
            *(_answers(export, document) for export, document in LISTS.items()),
            "EXPORT(get_prompt) { return prompt(); }",
            "EXPORT(read_resource) { return contents(); }",
            "EXPORT(complete) { return completion(); }",
        ]
    ),
    # hyper-mcp v2 whose lists are none, beside a tool that works
    "hyper_broken": r"""EXPORT(list_prompts) { return answer("{\"prompts\":{}}"); }
      EXPORT(get_prompt) { return prompt(); }
      EXPORT(list_resources) { return fail("no idea"); }
      EXPORT(read_resource) { return contents(); }
      EXPORT(list_resource_templates) { return answer("nothing"); }
      EXPORT(list_tools) { return answer("{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}]}"); }
      EXPORT(call_tool) { return answer("{\"content\":[]}"); }""",
    # answers the value of "out" in the prompt's arguments, escapes undone, whatever it is asked
    "hostile": r"""
      static i32 say(const char *key) { read_input(); const u8 *p = value_of(key); if (!p) return fail("nothing");
        for (p++; *p && *p != '"'; p++) { if (*p == '\\') p++; add_byte(*p); } return done(); }
      EXPORT(get_prompt) { return say("out"); }
      EXPORT(complete) { return say("value"); }
      EXPORT(read_resource) { read_input(); for (u32 i = 0; i < in_size; i++) if (in[i] == '?') {
        const u8 *p = in + i + 1; int which = *p - '0';
        static const char *said[] = {"", "{\"contents\":{}}", "{\"contents\":[{\"uri\":1,\"text\":\"\"}]}",
          "{\"contents\":[{\"uri\":\"a:b\"}]}", "{\"contents\":[{\"blob\":\"?\"}]}", "[]", "{\"contents\":[null]}"};
        if (which >= 0 && which < 7) { add_text(said[which]); return done(); }
        if (which == 7) __builtin_trap(); for (;;) {} }
        return fail("no such thing"); }""",
    # describes 1,000 of everything, the maximum; with the number as its name
    "hyper_many": r"""
      static i32 many(const char *field, const char *before, const char *after, int n) { read_input();
        add_text("{\""); add_text(field); add_text("\":["); for (int i = 0; i < n; i++) {
        if (i) add_byte(','); add_text("{\"name\":\"n"); add_number(i); add_text("\""); add_text(before);
        if (*before) add_number(i); add_text(after); add_text("}"); } add_text("]}"); return done(); }
      EXPORT(list_prompts) { return many("prompts", "", "", 1000); }
      EXPORT(get_prompt) { return prompt(); }
      EXPORT(list_resources) { return many("resources", ",\"uri\":\"many://", "\"", 1000); }
      EXPORT(list_resource_templates) {
        return many("resourceTemplates", ",\"uriTemplate\":\"many://", "/{x}\"", 1001); }
      EXPORT(read_resource) { return contents(); }""",
}


@functools.cache
def item_guest(name: str) -> bytes:
    """The wasm bytes of one of them."""
    return compile_c(_COMMON + _SOURCES[name])


PROMPT: Json = {
    "title": "Review",
    "description": "Reviews a text.",
    "arguments": [{"name": "text", "description": "What to review.", "required": True}, {"name": "tone"}],
}
ITEMS: Json = {
    "tools": {"touch": {"description": "Tells of changes.", "input": {"type": "object"}}},
    "prompts": {"review": PROMPT},
    "resources": [
        {"uri": "notes://today", "name": "today", "description": "Of today.", "mimeType": "text/plain"},
        {"uri": "notes://about", "name": "about", "mimeType": "text/markdown", "text": "# Notes\n"},
        {"uri": "notes://icon", "name": "icon", "mimeType": "image/png", "blob": "AP8=", "size": 2},
    ],
    "resourceTemplates": [{"uriTemplate": "notes://{folder}/{name}", "name": "notes", "mimeType": "text/plain"}],
}
"""What a plugin.json says of the guest `items`."""

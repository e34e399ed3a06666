/* Prompts, completions of their arguments, and a notice that they have changed. */
#define USER_SAYS(...) {"role":"user","content":{__VA_ARGS__}}
#define EXPANDED(...) JSON(__VA_ARGS__)

EXPORT(get_prompt) {
  read_input(); const u8 *name = value_of("name");
  if (string_is(name, "test_simple_prompt"))
    add_text(EXPANDED({"messages":[USER_SAYS("type":"text","text":"This is a simple prompt for testing.")]}));
  else if (string_is(name, "test_prompt_with_image"))
    add_text(JSON({"messages":[{"role":"user","content":{"type":"image","mimeType":"image/png","data":) RED_PIXEL
      EXPANDED(}},USER_SAYS("type":"text","text":"Please analyze the image above.")]}));
  else if (string_is(name, "test_prompt_with_embedded_resource")) {
    add_text(JSON({"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":)); add_member("resourceUri");
    add_text(EXPANDED(,"mimeType":"text/plain","text":"Embedded resource content for testing."}}},
      USER_SAYS("type":"text","text":"Please process the embedded resource above.")]})); }
  else if (string_is(name, "test_prompt_with_arguments")) {
    add_text(JSON({"messages":[{"role":"user","content":{"type":"text","text":)); add_text("\"Prompt with arguments: arg1='");
    add_string_of(value_of("arg1")); add_text("', arg2='"); add_string_of(value_of("arg2")); add_text("'\"}}]}"); }
  else return fail("there is no such prompt");
  return done(); }
EXPORT(complete) { return answer(JSON({"completion":{"values":["paris","park","party"],"total":150,"hasMore":false}})); }
EXPORT(test_trigger_prompt_change) {
  notify(JSON({"method":"notifications/prompts/list_changed"})); return answer_text("Told"); }

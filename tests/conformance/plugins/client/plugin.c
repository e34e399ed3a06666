/* Questions to the client. */
EXPORT(test_sampling) {
  read_input();
  add_text(JSON({"requests":{"answer":{"method":"sampling/createMessage","params":{"maxTokens":100,"messages":[
    {"role":"user","content":{"type":"text","text":)); add_member("prompt"); add_text(JSON(}}]}}}}));
  u64 at = ask_client(take()); if (!at) return 1;
  read_block(at); return answer_with_member("LLM response: ", "text", ""); }
/* What the user did, after a question has been answered. */
static i32 answer_with_action(const char *before) {
  begin_text(); add_text(before); add_escaped_input(); return end_text(); }
EXPORT(test_elicitation) {
  read_input();
  add_text(JSON({"requests":{"answer":{"method":"elicitation/create","params":{"requestedSchema":{"type":"object",
    "properties":{"username":{"type":"string","description":"User's response"},
      "email":{"type":"string","description":"User's email address"}},"required":["username","email"]},"message":));
  add_member("message"); add_text(JSON(}}}}));
  u64 at = ask_client(take()); if (!at) return 1;
  read_block(at); return answer_with_action("User response: "); }
EXPORT(test_elicitation_sep1034_defaults) {
  if (!ask(JSON({"requests":{"answer":{"method":"elicitation/create","params":{"message":"Please check these values",
    "requestedSchema":{"type":"object","properties":{
      "name":{"type":"string","default":"John Doe"},
      "age":{"type":"integer","default":30},
      "score":{"type":"number","default":95.5},
      "status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},
      "verified":{"type":"boolean","default":true}}}}}}}))) return 1;
  return answer_with_action("Elicitation completed: "); }
EXPORT(test_elicitation_sep1330_enums) {
  if (!ask(JSON({"requests":{"answer":{"method":"elicitation/create","params":{"message":"Please choose",
    "requestedSchema":{"type":"object","properties":{
      "untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
      "titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},
        {"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
      "legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
      "untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
      "titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},
        {"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}}}}}}}))) return 1;
  return answer_with_action("Elicitation completed: "); }
/* Does not ask what the client can do: the server has to refuse it for a client that cannot sample. */
EXPORT(test_missing_capability) {
  if (!ask(JSON({"requests":{"answer":{"method":"sampling/createMessage","params":{"maxTokens":10,"messages":[
      {"role":"user","content":{"type":"text","text":"Say something"}}]}}}}))) return 1;
  return answer_with_member("LLM response: ", "text", ""); }

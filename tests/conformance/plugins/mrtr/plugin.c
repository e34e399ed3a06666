/* Questions that end one request and are answered by the next; here they look like any other. */
#define FORM(message, field, type) {"method":"elicitation/create","params":{"message":message, \
  "requestedSchema":{"type":"object","properties":{field:{"type":type}},"required":[field]}}}
#define SAMPLE(prompt, tokens) {"method":"sampling/createMessage","params":{"maxTokens":tokens, \
  "messages":[{"role":"user","content":{"type":"text","text":prompt}}]}}
#define EXPANDED(...) JSON(__VA_ARGS__)

EXPORT(test_input_required_result_elicitation) {
  if (!ask(EXPANDED({"requests":{"user_name":FORM("What is your name?", "name", "string")}}))) return 1;
  if (!value_of("name")) return answer_text("Hello, whoever you are!");
  return answer_with_member("Hello, ", "name", "!"); }
EXPORT(test_input_required_result_sampling) {
  if (!ask(EXPANDED({"requests":{"capital_question":SAMPLE("What is the capital of France?", 100)}}))) return 1;
  return answer_with_member("", "text", ""); }
EXPORT(test_input_required_result_list_roots) {
  if (!ask(JSON({"requests":{"client_roots":{"method":"roots/list","params":{}}}}))) return 1;
  return answer_with_member("The first root is ", "uri", ""); }
EXPORT(test_input_required_result_request_state) {
  if (!ask(EXPANDED({"requests":{"confirm":FORM("Please confirm", "ok", "boolean")}}))) return 1;
  return answer_text("state-ok"); }
EXPORT(test_input_required_result_tampered_state) {
  if (!ask(EXPANDED({"requests":{"confirm":FORM("Please confirm", "ok", "boolean")}}))) return 1;
  return answer_text("The state came back as it was sent"); }
EXPORT(test_input_required_result_multiple_inputs) {
  if (!ask(EXPANDED({"requests":{"user_name":FORM("What is your name?", "name", "string"),
      "greeting":SAMPLE("Generate a greeting", 50),"client_roots":{"method":"roots/list","params":{}}}}))) return 1;
  return answer_with_member("Hello, ", "name", "!"); }
EXPORT(test_input_required_result_multi_round) {
  if (!ask(EXPANDED({"requests":{"step1":FORM("Step 1: What is your name?", "name", "string")}}))) return 1;
  if (!ask(EXPANDED({"requests":{"step2":FORM("Step 2: What is your favorite color?", "color", "string")}}))) return 1;
  return answer_with_member("The favorite color is ", "color", ""); }
/* Asks only what the client says it can answer. */
EXPORT(test_input_required_result_capabilities) {
  u64 client = get_client(); if (!client) return 1;
  read_block(client); int form = value_of("elicitation") != 0, sample = value_of("sampling") != 0;
  if (!form && !sample) return answer_text("This client cannot be asked anything");
  out_size = 0; add_text(JSON({"requests":{));
  if (form) add_text(EXPANDED("user_name":FORM("What is your name?", "name", "string")));
  if (form && sample) add_text(",");
  if (sample) add_text(EXPANDED("greeting":SAMPLE("Generate a greeting", 50)));
  add_text("}}");
  return ask_client(take()) ? answer_text("Asked and answered") : 1; }
EXPORT(get_prompt) {
  if (!ask(EXPANDED({"requests":{"user_context":FORM("What context should the prompt use?", "context", "string")}})))
    return 1;
  out_size = 0; add_text(JSON({"messages":[{"role":"user","content":{"type":"text","text":));
  add_member("context"); add_text(JSON(}}]})); return done(); }

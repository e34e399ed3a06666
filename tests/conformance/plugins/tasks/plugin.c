/* Tools that run as tasks (SEP-2663), and one that does not. */
EXPORT(greet) { read_input(); return answer_with_member("Hello, ", "name", "!"); }
EXPORT(slow_compute) {
  read_input(); sleep_ms(1000 * (u64)number_of(value_of("seconds")));
  return answer_with_member("Computed ", "label", ""); }
EXPORT(failing_job) { sleep_ms(200); return fail("This job intentionally fails"); }
/* Asks for what the suite's client does not declare: a call that is answered with a protocol error, not with a result. */
EXPORT(protocol_error_job) {
  return ask(JSON({"requests":{"roots":{"method":"roots/list","params":{}}}})) ? answer_text("There are roots") : 1; }
EXPORT(confirm_delete) {
  read_input(); u32 n = in_size; u8 arguments[1000]; if (n > sizeof arguments) return fail("the name is too long");
  for (u32 i = 0; i < n; i++) arguments[i] = in[i];
  if (!ask(JSON({"requests":{"confirm":{"method":"elicitation/create","params":{"message":"Delete the file?",
      "requestedSchema":{"type":"object","properties":{"confirm":{"type":"boolean"}},"required":["confirm"]}}}}})))
    return 1;
  const u8 *confirmed = value_of("confirm"); int yes = string_is(value_of("action"), "accept") && confirmed;
  for (u32 i = 0; i < n; i++) in[i] = arguments[i];
  in_size = n; in[n] = 0; return answer_with_member(yes ? "Deleted " : "Kept ", "filename", ""); }
EXPORT(multi_input) {
  if (!ask(JSON({"requests":{
      "first":{"method":"elicitation/create","params":{"message":"What is the first name?",
        "requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}},
      "second":{"method":"elicitation/create","params":{"message":"Are you sure?",
        "requestedSchema":{"type":"object","properties":{"confirm":{"type":"boolean"}},"required":["confirm"]}}}}})))
    return 1;
  return answer_text("Both questions were answered"); }
EXPORT(test_tool_with_task) {
  if (!ask(JSON({"requests":{"user_name":{"method":"elicitation/create","params":{"message":"What is your name?",
      "requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}}}))) return 1;
  sleep_ms(100); return answer_with_member("Task completed for ", "name", ""); }

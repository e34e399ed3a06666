/* Progress and log messages on the way, and a stream that ends before the call does. */
static void log_message(const char *notice) { notify(notice); sleep_ms(50); }
EXPORT(test_tool_with_logging) {
  log_message(JSON({"method":"notifications/message","params":{"level":"info","data":"Tool execution started"}}));
  log_message(JSON({"method":"notifications/message","params":{"level":"info","data":"Tool processing data"}}));
  notify(JSON({"method":"notifications/message","params":{"level":"info","data":"Tool execution completed"}}));
  return answer_text("Tool with logging executed successfully"); }
EXPORT(test_tool_with_progress) {
  notify(JSON({"method":"notifications/progress","params":{"progress":0,"total":100}})); sleep_ms(50);
  notify(JSON({"method":"notifications/progress","params":{"progress":50,"total":100}})); sleep_ms(50);
  notify(JSON({"method":"notifications/progress","params":{"progress":100,"total":100}}));
  return answer_text("Tool with progress executed successfully"); }
EXPORT(test_logging_tool) {
  notify(JSON({"method":"notifications/message","params":{"level":"error","data":"Nobody asked for this message"}}));
  return answer_text("Logged"); }
EXPORT(test_streaming_elicitation) {
  notify(JSON({"method":"notifications/progress","params":{"progress":0,"total":1}}));
  if (!ask(JSON({"requests":{"user_name":{"method":"elicitation/create","params":{"message":"What is your name?",
      "requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}}}))) return 1;
  return answer_with_member("Hello, ", "name", "!"); }
/* Longer than the server holds a response stream open: the client comes back for the result (SEP-1699). */
EXPORT(test_reconnection) { sleep_ms(1500); return answer_text("Reconnection test completed"); }

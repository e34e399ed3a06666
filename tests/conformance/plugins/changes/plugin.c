/* A notice that the list of tools has changed. */
EXPORT(test_trigger_tool_change) {
  notify(JSON({"method":"notifications/tools/list_changed"})); return answer_text("Told"); }

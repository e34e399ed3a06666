/* Notices that lists have changed. */
EXPORT(test_trigger_tool_change) {
  notify(JSON({"method":"notifications/tools/list_changed"})); return answer_text("Told"); }
EXPORT(test_trigger_prompt_change) {
  notify(JSON({"method":"notifications/prompts/list_changed"})); return answer_text("Told"); }

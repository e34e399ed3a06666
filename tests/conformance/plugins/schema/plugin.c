/* Schemas that must arrive as they are, and a parameter that is repeated in a header. */
EXPORT(json_schema_2020_12_tool) { return answer(JSON({"content":[{"type":"text","text":"The arguments fit the schema."}]})); }
EXPORT(test_header_parameter) {
  read_input(); return answer_with_member("The region is ", "region", "."); }

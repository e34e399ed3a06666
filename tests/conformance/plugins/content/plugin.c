/* Results of every kind, and an error. */
EXPORT(always_succeeds) { return answer(JSON({"content":[{"type":"text","text":"Nothing is asked for, nothing goes wrong."}]})); }
EXPORT(test_simple_text) {
  return answer(JSON({"content":[{"type":"text","text":"This is a simple text response for testing."}]})); }
EXPORT(test_image_content) {
  return answer(JSON({"content":[{"type":"image","mimeType":"image/png","data":) RED_PIXEL JSON(}]})); }
EXPORT(test_audio_content) {
  return answer(JSON({"content":[{"type":"audio","mimeType":"audio/wav","data":) SILENCE JSON(}]})); }
EXPORT(test_embedded_resource) {
  return answer(JSON({"content":[{"type":"resource","resource":{"uri":"test://embedded-resource","mimeType":"text/plain",
    "text":"This is an embedded resource content."}}]})); }
EXPORT(test_multiple_content_types) {
  return answer(JSON({"content":[{"type":"text","text":"Multiple content types test:"},
    {"type":"image","mimeType":"image/png","data":) RED_PIXEL JSON(},
    {"type":"resource","resource":{"uri":"test://mixed-content-resource","mimeType":"application/json",
      "text":"{\"test\":\"data\",\"value\":123}"}}]})); }
EXPORT(test_error_handling) { return fail("This tool intentionally returns an error for testing"); }

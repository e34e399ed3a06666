/* Resources, of which one stands for all that fit a template. */
EXPORT(read_resource) {
  read_input(); const u8 *uri = value_of("uri");
  if (string_is(uri, "test://static-text"))
    add_text(JSON({"contents":[{"uri":"test://static-text","mimeType":"text/plain",
      "text":"This is the content of the static text resource."}]}));
  else if (string_is(uri, "test://static-binary"))
    add_text(JSON({"contents":[{"uri":"test://static-binary","mimeType":"image/png","blob":) RED_PIXEL JSON(}]}));
  else if (string_is(uri, "test://watched-resource"))
    add_text(JSON({"contents":[{"uri":"test://watched-resource","mimeType":"text/plain","text":"Watched."}]}));
  else { /* test://template/{id}/data */
    u8 id[100]; u32 n = 0; const u8 *p = uri + 1 + size_of("test://template/");
    while (*p != '/' && *p != '"' && n < sizeof id - 1) id[n++] = *p++;
    id[n] = 0; add_text(JSON({"contents":[{"mimeType":"application/json","uri":)); add_member("uri");
    add_text(",\"text\":\"{\\\"id\\\":\\\""); add_text((const char *)id);
    add_text("\\\",\\\"templateTest\\\":true,\\\"data\\\":\\\"Data for ID: "); add_text((const char *)id);
    add_text("\\\"}\"}]}"); }
  return done(); }

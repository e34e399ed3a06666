"""One module for each schema revision; `schema_revisions.REVISIONS` lists them in order."""

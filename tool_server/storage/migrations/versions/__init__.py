"""One module for each schema revision; `revisions.REVISIONS` lists them in order."""

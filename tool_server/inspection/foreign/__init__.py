"""Configuration files of other hosts: read, and said in this server's own terms."""

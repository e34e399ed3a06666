"""The worker pool and what runs in a worker; the only place that imports extism."""

"""What the server counts, for Prometheus. Imported only where metrics are wanted."""

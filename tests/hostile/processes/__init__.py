"""Programs that the fault tests run as real processes."""

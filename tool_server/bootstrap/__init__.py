"""The only wiring: from a configuration to running services, and from those to what is served."""

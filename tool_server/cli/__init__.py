"""Thin commands over the services."""

"""The registry over HTTP: REST routes, their problems, authentication, and the OpenAPI document."""

"""HTTP requests of guests: decided, made and recorded by the server. The only place that imports httpcore."""

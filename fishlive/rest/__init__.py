"""Awaitable calls of the service: one noun a file, one function an endpoint."""

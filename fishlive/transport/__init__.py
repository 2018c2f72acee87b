"""The one folder that knows sockets."""

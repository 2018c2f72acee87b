"""fishlive: an LLM's tokens in, speech out while it is still talking."""

"""Text on its way to the voice: tags, flushes, and the events of LLM streams."""

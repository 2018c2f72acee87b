"""The live channel: text in, audio out, one utterance at a time."""

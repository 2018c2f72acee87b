"""The live protocol without I/O and without a clock: events, state machine, protocol."""

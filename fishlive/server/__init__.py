"""A Fish-compatible server on this machine, with a real voice: ``LocalServer``.

Needs the extra ``local`` (``pip install "fishlive[local]"``) when it starts, not when imported.
"""

from fishlive.server.app import LocalServer
from fishlive.server.settings import PROFILES, Profile, Settings

__all__ = ["PROFILES", "LocalServer", "Profile", "Settings"]

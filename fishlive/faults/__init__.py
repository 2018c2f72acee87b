"""What can go wrong between a client and the service, as data.

``Fault.parse("rst@audio:3")`` is a description: nothing happens until a server plays it
(``LocalServer(faults=[...])``, ``fishlive serve --fault SPEC``). A description has one line of
text, which :func:`str` gives back::

    kind[:value]@place[:n][,option[=value]]...

    close:1011@audio:2,reason=going away,held    a close frame, and TCP stays open
    status:429@upgrade,header=Retry-After:2      a refusal instead of the 101
    rst@byte:1000,times=always,on=timed          every time, on one endpoint

``%XX`` stands for a character that would end a value: ``,``, ``@``, ``%`` and control characters.
``KINDS`` is the table of kinds; :func:`lines` shows it.
"""

from fishlive.faults.fault import Fault
from fishlive.faults.kinds import COUNTED, KINDS, MESSAGES, Amount, Endpoint, Kind, Place, Value
from fishlive.faults.reading import lines, load_faults, read_faults

__all__ = [
    "COUNTED",
    "KINDS",
    "MESSAGES",
    "Amount",
    "Endpoint",
    "Fault",
    "Kind",
    "Place",
    "Value",
    "lines",
    "load_faults",
    "read_faults",
]

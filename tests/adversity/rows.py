"""Every row of the fault tables, and the fault that plays it.

A row with several ways has a line for each: ``M15 audio-text``. ``CLIENT_SIDE`` says that no server
can play it: the client's own tests do. Counted places are late enough that some audio has come.
"""

from __future__ import annotations

from typing import Final

from fishlive.faults import MESSAGES

CLIENT_SIDE: Final = "client side"

CONNECTING: Final[dict[str, str]] = {
    "C1 refused": "refuse@connect",
    "C1 reset": "rst@connect",
    "C2 dns": CLIENT_SIDE,
    "C3 one address dead": CLIENT_SIDE,
    "C4 certificate": CLIENT_SIDE,
    "C5 hello unanswered": "hang@tls",
    "C5 reset": "rst@tls",
    "C5 cut": "fin@tls",
    "C5 no tls": "garbage@tls",
    "C6 json": "status:401@upgrade",
    "C6 plain": "status:401@upgrade,body=Invalid Token",
    "C7": "status:402@upgrade",
    "C7 403": "status:403@upgrade",
    "C7 404": "status:404@upgrade",
    "C8 400": "status:400@upgrade",
    "C8 422 object": 'status:422@upgrade,body={"message": "text is wrong"%2C "status": 422}',
    "C8 422 list": 'status:422@upgrade,body=[{"loc": ["body"%2C "text"]%2C "msg": "missing"}]',
    "C9 none": "status:429@upgrade",
    "C9 seconds": "status:429@upgrade,header=Retry-After:1",
    "C9 fraction": "status:429@upgrade,header=Retry-After:0.05",
    "C9 milliseconds": "status:429@upgrade,header=Retry-After-Ms:50",
    "C9 date": "status:429@upgrade,header=Retry-After:Wed%2C 21 Oct 2015 07:28:00 GMT",
    "C9 garbage": "status:429@upgrade,header=Retry-After:soon",
    "C9 negative": "status:429@upgrade,header=Retry-After:-1",
    "C9 huge": "status:429@upgrade,header=Retry-After:1000000000",
    "C10 408": "status:408@upgrade",
    "C10 425": "status:425@upgrade",
    "C10 500": "status:500@upgrade",
    "C10 502 html": (
        "status:502@upgrade,body=<html>Bad Gateway</html>,header=Content-Type:text/html"
    ),
    "C10 503": "status:503@upgrade",
    "C10 504": "status:504@upgrade",
    "C11 200": "status:200@upgrade",
    "C11 301": "status:301@upgrade,header=Location:/elsewhere",
    "C11 302": "status:302@upgrade,header=Location:/elsewhere",
    "C11 426": "status:426@upgrade",
    "C11 accept": "bad-accept@upgrade",
    "C12 no bytes": "hang@connect",
    "C12 no answer": "hang@upgrade",
    "C12 drip": "drip:1@upgrade",
    "C12 headers": "header-flood@upgrade",
    "C12 reset": "rst@upgrade",
    "C12 cut": "fin@upgrade",
    "C13 cancel": CLIENT_SIDE,
    "C14 proxy": CLIENT_SIDE,
}
"""While it connects (section 2b)."""

STREAMING: Final[dict[str, str]] = {
    "M1": "stall@audio:2",
    "M1 nothing": "stall@start",
    "M1 no finish": "stall@finish",
    "M2": "half-open@audio:2",
    "M2 at a byte": "half-open@byte:5000",
    "M3": "rst@audio:2",
    "M3 mid-frame": "cut-rst:100@audio:2",
    "M3 at a byte": "rst@byte:5000",
    "M3 behind the head": "rst@byte:0",
    "M4": "fin@audio:2",
    "M4 mid-frame": "cut-fin:100@audio:2",
    "M4 at a byte": "fin@byte:5000",
    "M5": "close:1000@audio:2",
    "M5 no code": "close@audio:2",
    "M5 no audio": "close:1000@start",
    "M6 1001": "close:1001@audio:2,reason=going away",
    "M6 1011": "close:1011@audio:2,reason=internal error",
    "M6 1012": "close:1012@audio:2,reason=restart",
    "M6 1013": "close:1013@audio:2,reason=try again later",
    "M6 at once": "close:1013@upgrade",
    "M7 1002": "close:1002@audio:2",
    "M7 1003": "close:1003@audio:2",
    "M7 1007": "close:1007@audio:2",
    "M7 1008": "close:1008@audio:2,reason=Invalid Token",
    "M7 1009": "close:1009@audio:2",
    "M7 1010": "close:1010@audio:2",
    "M7 4000": "close:4000@audio:2,reason=its own",
    "M8 1000": "close:1000@audio:2,held",
    "M8 1008": "close:1008@audio:2,held",
    "M8 1011": "close:1011@audio:2,held",
    "M9": "finish:error@audio:2,reason=the voice failed",
    "M9 no audio": "finish:error@audio:1",
    "M9 last": "finish:error@finish",
    "M10 unknown": "finish:tired@audio:2",
    "M10 early": "finish:stop@audio:2",
    "M10 missing": "message:finish-missing@audio:2",
    "M10 number": "message:finish-number@audio:2",
    "M11": "error:Internal error@audio:2",
    "M11 open": "error:Internal error@audio:2,held",
    "M11 concurrency": "error:Concurrency limit exceeded@start,max-concurrency=8",
    "M11 concurrency open": "error:Concurrency limit exceeded@start,max-concurrency=8,held",
    "M11 claim of wrong type": "error:Concurrency limit exceeded@start,max-concurrency=many,held",
    "M11 number": "message:error-number@audio:2",
    "M11 missing": "message:error-missing@audio:2",
    "M12 audio": "late-audio@finish",
    "M12 finish": "second-finish@finish",
    **{
        f"M13 {name}": f"message:{name}@audio:2"
        for name in ("truncated", "trailing", "deep", "bomb", "empty", "extension")
    },
    "M14 event": "message:unknown-event@audio:2",
    "M14 field": "message:unknown-field@audio:2",
    **{
        f"M15 {name}": f"message:{name}@audio:2"
        for name in MESSAGES
        if name.startswith(
            ("not-", "no-", "event-", "audio-", "time-", "keys-", "alignment-", "seq-", "offset-")
        )
    },
    "M16 text": "text-frame@audio:2",
    "M16 pings": "pings:10000@audio:2",
    "M16 long ping": "long-ping@audio:2",
    "M16 pong": "pong@audio:2",
    "M16 reserved bit": "reserved-bit@audio:2",
    "M16 reserved opcode": "reserved-opcode@audio:2",
    "M16 masked": "masked@audio:2",
    "M16 one byte": "split:1@audio:2",
    "M16 kilobytes": "split:1024@audio:2",
    "M16 empty fragments": "empty-fragments:1000000@audio:2",
    "M16 continuation": "continuation@audio:2",
    "M17 2^63": "length:9223372036854775808@audio:2",
    "M17 17 MiB": "giant:17825792@audio:2",
    "M17 40 MiB": "giant:41943040@audio:2",
    "M17 drip": "drip:100@audio:2",
    "M18": "compressed@audio:2",
    "M18 unasked": "unasked-extension@upgrade",
    "M19": "garbage@upgrade",
    "M19 later": "garbage@audio:2",
    "M20": "restart:0.1@audio:2",
    "cadence odd": "odd@audio:1",
    "cadence burst": "burst:0.05@audio:1",
    "cadence gap": "delay:0.1@audio:2",
    "cadence late": "delay:0.1@audio:1",
    "cadence far": "round-trip:0.04@connect",
}
"""Mid-stream (section 2c)."""

FLOWING: Final[dict[str, str]] = {
    "F1": "flood:314572800@audio:1",
    "F2": "deaf@start",
    "F4 closed while idle": "close:1000@text:1",
    "F17 half-open": "half-open@text:1",
    "F18 half-open": "half-open@start",
    "F20 closed": "close:1001@start",
    **{
        f"F{row}": CLIENT_SIDE
        for row in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
    },
}
"""Flow, source and listener (section 2d). F22 is the server's setting ``concurrency=5``."""

ROWS: Final[dict[str, str]] = {**CONNECTING, **STREAMING, **FLOWING}
"""All of them, by name."""

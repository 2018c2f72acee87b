"""Every number this package chose, with its unit and its reason."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

BUFFER_HIGH_BYTES: Final = 4 * MIB
"""Above this no more text is sent: 47 s of 44.1 kHz mono PCM. Audio is a function of text, so
this stops growth at its root while pings still flow."""

BUFFER_LOW_BYTES: Final = 1 * MIB
"""At or below this text flows again: 12 s of 44.1 kHz mono PCM, so that a listener never waits
for the round trip that refills the buffer."""

BUFFER_HARD_BYTES: Final = 8 * MIB
"""What a stalled listener may cost: 95 s of 44.1 kHz mono PCM. Pausing the socket is the last
valve, because a paused socket cannot answer pings that wait behind unread audio."""

CHUNK_OVERHEAD_BYTES: Final = 128
"""Charged for each chunk on top of its payload, so that a flood of tiny chunks cannot hold more
memory than the budget says. A bytes object and its deque slot cost 41 B on 64-bit CPython; the
rest is margin."""

RECEIVE_BUFFER_BYTES: Final = 512 * KIB
"""Kernel receive buffer (SO_RCVBUF) of a live socket. After reading is paused the rest of the
batch still arrives, and the reader's buffer never shrinks: 512 KiB bounds that at 0.9 MiB, where
256 KiB costs 15 % more CPU in a flood (measured, picows 2.3.1)."""

BUFFER_PAUSE_BYTES: Final = BUFFER_HARD_BYTES - RECEIVE_BUFFER_BYTES
"""Where the socket is paused: one batch before the hard mark, because that much still arrives."""

MAX_MESSAGE_BYTES: Final = 16 * MIB
"""Largest message we accept. The native API names no limit (asyncapi.yml, 2026-08-21) and the
compatible one says 32 MiB; 16 MiB are 190 s of 44.1 kHz PCM in one message."""

MAX_FRAGMENTS: Final = 1024
"""Fragments one message may come in. 16 MiB in the 16 KiB pieces that servers commonly cut."""

TEXT_QUEUE_BYTES: Final = 64 * KIB
"""UTF-8 bytes of text that may wait for the socket before ``send`` waits. Also the most text
that is kept for one replay on a fresh socket."""

MAX_TEXT_EVENT_CHARS: Final = 16 * KIB
"""Longest text in one event, in characters. No limit is documented; at most 64 KiB of UTF-8, far
under any frame limit, and two hours of speech at ordinary pace are still one second of sending."""

CREDIT_S: Final = 10.0
"""Seconds of unplayed audio above which no more text is sent. Long enough that a listener never
runs dry (the service speaks several times faster than real time), short enough that an
interruption wastes little paid text."""

FLUSH_AHEAD_S: Final = 3.0
"""The flush policy goes on flushing at sentence ends while less audio than this is unplayed, in
seconds. With more in hand the service may cut the text where it sounds best."""

FIRST_FLUSH_CHARS: Final = 120
"""Characters that must wait before the first flush may fall on a word border instead of a
sentence end: about 8 s of speech, enough for a natural phrase."""

FIRST_FLUSH_S: Final = 0.6
"""Seconds after the first text at which that word border is good enough: the time an LLM at 30
tokens a second takes to write those 120 characters, so faster models reach a sentence end first."""

MAX_OPEN_TAG_CHARS: Final = 300
"""An unclosed ``[`` or ``<`` stops being a tag after this many characters. Directions are short
phrases; 300 is the service's own longest chunk, so nothing can be held back for ever."""

CONNECT_TIMEOUT_S: Final = 5.0
"""DNS, TCP, TLS and upgrade together, in seconds. Measured elsewhere at 0.3 to 1.0 s (api/fish
notes, 2026); five times the worst."""

STANDBY_SOCKETS: Final = 1
"""Warm live sockets in reserve. Connecting costs 0.3 to 1.0 s (CONNECT_TIMEOUT_S), about as long
as a turn takes to begin: so one is warm again before the next is needed."""

CLOSE_TIMEOUT_S: Final = 1.0
"""How long a clean close waits for the peer's close frame before the socket is cut, in seconds."""

HAPPY_EYEBALLS_DELAY_S: Final = 0.25
"""Head start of the first address, in seconds (RFC 8305, section 5: 250 ms)."""

MAX_ERROR_BODY_BYTES: Final = 8 * KIB
"""How much of a refusal's body is read. Documented bodies are under 200 bytes."""

ERROR_BODY_S: Final = 1.0
"""How long a refusal waits for its body, in seconds. The status is the message, and most bodies
come with it; one that was sent apart is a round trip away at most."""

MAX_ERROR_TEXT_CHARS: Final = 512
"""How much of a service's sentence an error repeats, in characters."""

MAX_MAP_KEYS: Final = 32
"""Keys in one event. The largest documented event has seven."""

MAX_ALIGNMENT_SEGMENTS: Final = 10_000
"""Words in one alignment: a chunk has at most 300 characters, and text on the service's side is
cut to that; the rest is margin for growth."""

MAX_STRING_BYTES: Final = 256 * KIB
"""Longest string in an event, in bytes of UTF-8: four times the longest text we would ever send."""

DEFAULT_BASE_URL: Final = "https://api.fish.audio"
"""The service itself (API introduction, 2026-08)."""

DEFAULT_MODEL: Final = "s2-pro"
"""Sent in the ``model`` header unless told otherwise: the model with a documented 100 ms to first
audio (models overview, 2026-08). Never omitted, because the service's fallback may change."""

ALIGNMENT_GRID_S: Final = 0.08
"""Steps that times of words lie on, in seconds (examples of the timestamp endpoint, 2026-09)."""

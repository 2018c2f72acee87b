"""What seeds have found, as small as it came out: each schedule once broke a rule."""

from __future__ import annotations

from fishlive.faults import Fault
from fishlive.testing.network import Weather
from fishlive.testing.schedule import Schedule, Step, Stop, Turn
from fishlive.testing.simulate import judge


def problems(schedule: Schedule) -> list[str]:
    """Return what is wrong with a conversation."""
    return judge(schedule).problems


def test_an_utterance_without_text_takes_its_retry_along() -> None:
    """It begins with the failure of a connection opened ahead, ends, and tries nothing again."""
    schedule = Schedule(
        1,
        (
            Turn("text", ((),), stops=(Stop(0.2, "close"),)),
            Turn("hand", ((Step("end"),),), flush="never"),
        ),
        faults=(Fault.parse("status:502@upgrade,header=Retry-After:1"),),
    )
    assert not problems(schedule)


def test_a_retry_leaves_no_connection_open() -> None:
    """A standby is being replaced while the utterance asks for its next connection."""
    text = (Step("say", "Hello there, this is one. "), Step("say", "And two "), Step("end"))
    schedule = Schedule(
        249,
        (Turn("hand", (text,)),),
        weather=Weather(delay_s=0.15),
        faults=(Fault.parse("close:1011@text:2,held"),),
    )
    assert not problems(schedule)

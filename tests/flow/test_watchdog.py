"""flow/watchdog.py: what is owed, since when, and what happens when it does not come."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError, ConnectionLost, FishLiveError, StallTimeout
from fishlive.flow import watchdog as module
from fishlive.flow.watchdog import TICK_S, Deadlines, Watchdog, asleep_s
from fishlive.testing.clock import VirtualLoop, run

NO_PINGS = Deadlines(ping_every_s=None)


class Service:
    """A ward whose every property is set by the test.

    Attributes:
        text: What was said since the last audio, for `speechless` and `overfed`.
        answered: At each flush, whether the one before was answered.
        fed_at: When the ward was told that all text was answered.
        ended: When a deadline passed, and which.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.willing = True
        self.writable = True
        self.pongs = 0
        self.overfed = False
        self.speechless = False
        self.answers = True
        self.pings: list[float] = []
        self.answered: list[bool] = []
        self.fed_at: list[float] = []
        self.ended: list[tuple[float, FishLiveError]] = []

    def ping(self) -> None:
        self.pings.append(clock().time())
        self.pongs += self.answers

    def flushed(self, *, answered: bool) -> None:
        self.answered.append(answered)

    def fed(self) -> None:
        self.fed_at.append(clock().time())

    def expire(self, error: FishLiveError) -> None:
        self.ended.append((clock().time(), error))


def clock() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time, of which an hour passes at most."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run(lambda: test(*args, **kwargs), max_turns=200_000)

    return wrapper


def watch(deadlines: Deadlines = NO_PINGS) -> tuple[Service, Watchdog]:
    """Return a ward and its watchdog, which looks from now on."""
    service = Service()
    return service, Watchdog(clock(), deadlines, service)


async def until(when_s: float) -> None:
    """Wait for an instant of the virtual clock."""
    await asyncio.sleep(max(0.0, when_s - clock().time()))


def end(service: Service) -> tuple[float, str]:
    """Return when a ward expired, and of what: a phase or a class."""
    ((when_s, error),) = service.ended
    return when_s, error.phase if isinstance(error, StallTimeout) else type(error).__name__


# The first audio


@virtual
async def test_the_first_audio_is_due_ten_seconds_after_the_flush() -> None:
    """Not a tick later, although the watchdog looks every quarter of a second."""
    service, dog = watch()
    await until(3.1)
    dog.flushed()
    await until(13.09)
    assert not service.ended
    await until(60)
    assert end(service) == (13.1, "first_audio")


@given(st.floats(0, 30), st.floats(2, 30))
def test_the_first_audio_is_due_at_that_very_instant_whatever_the_instant(
    flushed_at_s: float, limit_s: float
) -> None:
    """Rounding neither delays the end nor makes the loop turn in place."""

    async def main() -> None:
        service, dog = watch(Deadlines(first_audio_s=limit_s, ping_every_s=None))
        clock().call_at(flushed_at_s, dog.flushed)
        await until(flushed_at_s + limit_s + 1)
        assert end(service) == (flushed_at_s + limit_s, "first_audio")

    run(main, max_turns=2_000)


@virtual
async def test_a_second_flush_does_not_buy_time() -> None:
    """Owed is owed since the first flush that was not answered."""
    service, dog = watch()
    dog.flushed()
    await until(9)
    dog.flushed()
    await until(60)
    assert end(service) == (10.0, "first_audio")


@virtual
async def test_audio_in_time_settles_the_debt() -> None:
    """What comes at the last moment comes in time, and then nothing is owed."""
    service, dog = watch()
    dog.flushed()
    await until(9.99)
    service.heard += 1
    await until(600)
    assert not service.ended
    dog.close()


@virtual
async def test_without_a_flush_nothing_is_owed() -> None:
    """Text alone, and five minutes of thought, are no fault."""
    service, dog = watch()
    await until(300)
    assert not service.ended
    dog.close()


@virtual
async def test_an_llm_may_think_after_the_service_has_spoken() -> None:
    """After audio for the flush nothing is owed for five minutes, and then the next flush is."""
    service, dog = watch()
    dog.flushed()
    await until(1)
    service.heard += 1
    await until(301)
    assert not service.ended
    dog.flushed()
    await until(400)
    assert end(service) == (311.0, "audio")


@virtual
async def test_a_flush_of_nothing_that_can_be_spoken_owes_nothing() -> None:
    """The service has no answer to punctuation."""
    service, dog = watch()
    service.speechless = True
    dog.flushed()
    await until(60)
    assert not service.ended
    dog.close()


@virtual
async def test_the_end_of_text_that_cannot_be_spoken_owes_the_finish() -> None:
    """``stop`` is answered whatever was said."""
    service, dog = watch()
    service.speechless = True
    dog.stopped()
    await until(60)
    assert end(service) == (10.0, "first_audio")


@virtual
async def test_a_service_with_more_text_than_it_gathers_owes_audio() -> None:
    """It counts from the look that sees it, no later than a tick."""
    service, _ = watch()
    await until(5.1)
    service.overfed = True
    await until(60)
    when_s, phase = end(service)
    assert phase == "first_audio"
    assert 15.1 <= when_s <= 15.1 + TICK_S


@virtual
async def test_no_limit_is_no_limit() -> None:
    """None switches a deadline off."""
    service, dog = watch(
        Deadlines(first_audio_s=None, stall_s=None, send_s=None, ping_every_s=None)
    )
    dog.flushed()
    dog.choked()
    await until(1800)
    service.heard += 1
    dog.stopped()
    await until(3500)
    assert not service.ended
    assert not service.pings
    dog.close()


# Later audio, and the finish


@pytest.mark.parametrize("last_s", [0.0, 0.01, 0.2, 0.25, 3.3, 7.77])
@virtual
async def test_a_stall_is_seen_within_a_tick_of_its_deadline(last_s: float) -> None:
    """After ``stop``, audio or ``finish`` is owed ten seconds after the last audio."""
    service, dog = watch()
    dog.stopped()
    await until(last_s)
    service.heard += 1
    await until(60)
    when_s, phase = end(service)
    assert phase == "audio"
    assert last_s + 10 <= when_s <= last_s + 10 + TICK_S


@virtual
async def test_finish_is_owed_until_it_comes() -> None:
    """Audio every nine seconds keeps it waiting; silence ends it."""
    service, dog = watch()
    dog.stopped()
    for _ in range(5):
        await asyncio.sleep(9)
        service.heard += 1
    await until(100)
    when_s, phase = end(service)
    assert phase == "audio"
    assert 55 <= when_s <= 55 + TICK_S


@virtual
async def test_stop_after_an_unanswered_flush_counts_from_the_flush() -> None:
    """More text does not make an old debt younger."""
    service, dog = watch()
    dog.flushed()
    await until(4)
    dog.stopped()
    await until(60)
    assert end(service) == (10.0, "first_audio")


@virtual
async def test_the_first_audio_and_later_audio_have_limits_of_their_own() -> None:
    """Each is judged by its own figure, and says so."""
    service, dog = watch(Deadlines(first_audio_s=20, stall_s=4, ping_every_s=None))
    dog.stopped()
    await until(19.9)
    assert not service.ended
    service.heard += 1
    await until(60)
    when_s, phase = end(service)
    assert phase == "audio"
    assert 23.9 <= when_s <= 23.9 + TICK_S
    assert str(service.ended[0][1]) == "the service owed audio for 4 s"


@virtual
async def test_audio_just_before_a_flush_was_the_first_all_the_same() -> None:
    """A debt that begins between two looks is for later audio if there was some."""
    service, dog = watch(Deadlines(first_audio_s=20, stall_s=4, ping_every_s=None))
    await until(0.3)
    service.heard += 1
    await until(0.4)
    dog.flushed()
    await until(60)
    assert end(service) == (4.4, "audio")


@virtual
async def test_a_flush_behind_an_answer_that_nobody_saw_owes_audio() -> None:
    """Between two looks a flush is answered, and another follows: that one is owed."""
    service, dog = watch()
    dog.flushed()
    service.heard += 1
    dog.flushed()
    assert service.answered == [False, True]
    await until(20)
    assert end(service) == (10.0, "audio")


@virtual
async def test_audio_before_a_flush_does_not_answer_it() -> None:
    """Only what comes after the flush settles it."""
    service, dog = watch()
    await until(0.3)
    service.heard += 1
    await until(0.4)
    dog.flushed()
    await until(0.6)
    assert not service.fed_at
    await until(60)
    assert end(service) == (10.4, "audio")


@virtual
async def test_audio_feeds_the_ward_once_a_look() -> None:
    """The ward learns at the next look that its text so far was answered."""
    service, dog = watch()
    await until(1.1)
    service.heard += 7
    await until(5)
    assert service.fed_at == [1.25]
    dog.close()


# Sending


@virtual
async def test_text_that_nobody_takes_is_a_stall() -> None:
    """It counts from the first text that waited, not from the last."""
    service, dog = watch()
    await until(2)
    dog.choked()
    await until(8)
    dog.choked()
    await until(60)
    assert end(service) == (12.0, "send")
    assert str(service.ended[0][1]) == "the service took no text for 10 s"


@virtual
async def test_text_that_flows_again_is_no_stall() -> None:
    """Being choked twice for nine seconds is not eighteen."""
    service, dog = watch()
    for at_s in (0, 10):
        await until(at_s)
        dog.choked()
        await until(at_s + 9)
        dog.flowed()
    await until(100)
    assert not service.ended
    dog.close()


# Pings


@virtual
async def test_ten_quiet_seconds_ask_for_a_pong() -> None:
    """And every ten seconds again, as long as it comes."""
    service, dog = watch(Deadlines())
    await until(45)
    assert service.pings[0] == 10.0
    gaps = [b - a for a, b in zip(service.pings, service.pings[1:], strict=False)]
    assert all(10 <= gap <= 10 + TICK_S for gap in gaps)
    assert not service.ended
    dog.close()


@virtual
async def test_a_silent_network_is_noticed_in_fifteen_seconds() -> None:
    """Ten of silence, five for the pong."""
    service, _ = watch(Deadlines())
    service.answers = False
    await until(60)
    assert service.pings == [10.0]
    assert end(service) == (15.0, "ConnectionLost")
    assert str(service.ended[0][1]) == "the connection is dead: no pong within 5 s"


@virtual
async def test_audio_is_a_sign_of_life() -> None:
    """A service that speaks is not asked for a pong, and need not answer one."""
    service, dog = watch(Deadlines())
    service.answers = False
    for _ in range(8):
        await asyncio.sleep(9)
        service.heard += 1
    assert not service.pings
    await until(82.25)  # asked ten seconds after the last
    assert len(service.pings) == 1
    service.heard += 1
    await until(90)
    assert not service.ended
    dog.close()


@virtual
async def test_an_unwritable_socket_is_not_pinged() -> None:
    """A ping would wait behind the text; the send deadline looks after that."""
    service, dog = watch(Deadlines())
    service.writable = False
    await until(30)
    assert not service.pings
    service.writable = True
    await until(31)
    assert service.pings == [30.0] or service.pings == [30.25]
    dog.close()


@virtual
async def test_a_doubtful_socket_has_two_seconds() -> None:
    """It is asked at once, and not given the usual patience."""
    service, dog = watch(Deadlines())
    service.answers = False
    dog.doubt()
    assert service.pings == [0.0]
    await until(60)
    assert end(service) == (2.0, "ConnectionLost")
    assert "within 2 s" in str(service.ended[0][1])


@virtual
async def test_a_doubt_that_is_answered_is_over() -> None:
    """From then on it is asked as any other, with the usual patience."""
    service, dog = watch(Deadlines())
    dog.doubt()
    await until(5)
    service.answers = False
    await until(60)
    asked_s = service.pings[1]
    assert 10 <= asked_s <= 10.5
    assert end(service) == (asked_s + 5, "ConnectionLost")


@virtual
async def test_pongs_from_before_do_not_count() -> None:
    """What was counted on the socket before the attempt answers nothing."""
    service = Service()
    service.pongs = 7
    service.answers = False
    dog = Watchdog(clock(), Deadlines(), service)
    dog.doubt()
    await until(60)
    assert end(service) == (2.0, "ConnectionLost")


# Reading is paused


@virtual
async def test_nothing_is_judged_while_the_listener_has_us_not_read() -> None:
    """Audio, text and pongs may all wait: nobody looks for them."""
    service, dog = watch(Deadlines())
    service.answers = False
    dog.flushed()
    dog.choked()
    service.willing = False
    await until(300)
    assert not service.ended
    assert not service.pings
    dog.close()


@virtual
async def test_what_was_owed_is_owed_anew_from_the_resume() -> None:
    """A service that did not speak while nobody listened has its full time again."""
    service, dog = watch()
    dog.flushed()
    await until(9)
    service.willing = False
    await until(100.1)
    service.willing = True
    await until(200)
    when_s, phase = end(service)
    assert phase == "first_audio"
    assert 110.1 <= when_s <= 110.1 + TICK_S


@virtual
async def test_what_was_not_owed_is_not_owed_after_a_pause() -> None:
    """Pausing makes no debts."""
    service, dog = watch()
    service.willing = False
    await until(20)
    service.willing = True
    await until(100)
    assert not service.ended
    dog.close()


@virtual
async def test_a_choked_socket_has_its_time_again_after_a_pause() -> None:
    """A service that cannot write may well not read."""
    service, dog = watch()
    dog.choked()
    await until(9)
    service.willing = False
    await until(50)
    service.willing = True
    await until(200)
    when_s, phase = end(service)
    assert phase == "send"
    assert 60 <= when_s <= 60 + TICK_S


@virtual
async def test_a_ping_from_before_a_pause_is_forgotten() -> None:
    """The pong may wait behind unread audio; ten quiet seconds later it is asked again."""
    service, _ = watch(Deadlines())
    service.answers = False
    await until(12)
    assert service.pings == [10.0]
    service.willing = False
    await until(60)
    service.willing = True
    await until(100)
    assert 70 <= service.pings[1] <= 70 + TICK_S
    assert end(service) == (service.pings[1] + 5, "ConnectionLost")


# A blocked loop, a sleeping machine


@virtual
async def test_a_blocked_loop_takes_what_arrived_before_it_judges() -> None:
    """Audio that came while the program slept for half a minute came in time."""
    service, dog = watch()
    dog.flushed()
    await until(5)
    clock().block(30)
    # In the real world the socket is read in this turn too, and not surely before the timer.
    clock().call_later(0.05, lambda: setattr(service, "heard", 1))
    await until(300)
    assert not service.ended
    dog.close()


@virtual
async def test_a_blocked_loop_waits_for_the_pong_that_has_arrived() -> None:
    """A ping that ran out of time while nobody could read the pong is not judged yet."""
    service, dog = watch(Deadlines())
    service.answers = False
    await until(11)
    assert service.pings == [10.0]
    clock().block(30)
    clock().call_later(0.05, lambda: setattr(service, "pongs", 1))
    await until(45)
    assert not service.ended
    dog.close()


@virtual
async def test_a_blocked_loop_is_no_excuse_for_long() -> None:
    """If nothing had arrived, the deadline is judged at the next look."""
    service, dog = watch()
    dog.flushed()
    await until(5)
    clock().block(30)
    await until(100)
    assert end(service) == (35.25, "first_audio")


@virtual
async def test_a_loop_that_is_always_late_has_deadlines_too() -> None:
    """A program that blocks the loop again and again does not switch the watchdog off."""
    service, dog = watch()
    dog.flushed()
    for _ in range(20):
        await asyncio.sleep(0.01)
        clock().block(1)  # longer than a tick: each look comes late
    when_s, phase = end(service)
    assert phase == "first_audio"
    assert 10 <= when_s <= 13


@virtual
async def test_a_late_look_before_a_deadline_is_a_look_as_any_other() -> None:
    """Being held up changes nothing where nothing was overdue."""
    service, dog = watch()
    dog.flushed()
    await until(5)
    clock().block(3)
    await until(100)
    assert end(service) == (10.0, "first_audio")


@virtual
async def test_after_a_sleep_of_the_machine_the_peer_has_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop's clock saw nothing of it, but the connection may be gone."""
    ahead_s = [1000.0]
    monkeypatch.setattr(module, "asleep_s", lambda: ahead_s[0])
    service, _ = watch(Deadlines())
    service.answers = False
    await until(4.1)
    ahead_s[0] += 8 * 3600
    await until(60)
    assert service.pings == [4.25]
    assert end(service) == (6.25, "ConnectionLost")


@virtual
async def test_a_sleep_in_the_middle_of_a_ping_shortens_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ping may have been lost with the network; another one goes out."""
    ahead_s = [0.0]
    monkeypatch.setattr(module, "asleep_s", lambda: ahead_s[0])
    service, _ = watch(Deadlines())
    service.answers = False
    await until(10.6)
    ahead_s[0] += 60
    await until(60)
    assert service.pings == [10.0, 10.75]
    assert end(service) == (12.75, "ConnectionLost")


@virtual
async def test_a_sleep_that_the_peer_survived_is_asked_about_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One ping, one pong; nothing ends."""
    ahead_s = [0.0]
    monkeypatch.setattr(module, "asleep_s", lambda: ahead_s[0])
    service, dog = watch(Deadlines())
    await until(4.1)
    ahead_s[0] += 3600
    await until(9)
    assert service.pings == [4.25]
    assert not service.ended
    dog.close()


@virtual
async def test_a_clock_that_was_set_a_little_is_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds are within what time services do."""
    ahead_s = [0.0]
    monkeypatch.setattr(module, "asleep_s", lambda: ahead_s[0])
    service, dog = watch(Deadlines())
    for step_s in (2.0, -50.0, 1.5):
        await asyncio.sleep(1)
        ahead_s[0] += step_s
    await until(8)
    assert not service.pings
    dog.close()


@virtual
async def test_suspend_is_not_counted_as_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was owed when the lid was closed has the rest of its time, by the loop's clock."""
    ahead_s = [0.0]
    monkeypatch.setattr(module, "asleep_s", lambda: ahead_s[0])
    service, dog = watch()
    dog.flushed()
    await until(5)
    ahead_s[0] += 8 * 3600
    await until(60)
    assert end(service) == (10.0, "first_audio")


def test_the_clock_that_sees_sleep_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no such clock, the wall clock has to do."""
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 100.0 + clock, raising=False)
    assert asleep_s() == 7.0
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    assert asleep_s() == 900.0


# Its timer


@virtual
async def test_a_closed_watchdog_leaves_no_timer() -> None:
    """And closing twice is closing once."""
    service, dog = watch()
    dog.flushed()
    assert len(clock().timers) == 1
    dog.close()
    dog.close()
    assert not clock().timers
    dog.flushed()
    dog.stopped()
    assert not clock().timers
    assert not service.ended


@virtual
async def test_a_deadline_passes_once() -> None:
    """After it the watchdog looks no more."""
    service, dog = watch()
    dog.flushed()
    dog.choked()
    await until(600)
    assert len(service.ended) == 1
    assert not clock().timers


@virtual
async def test_a_ward_may_close_its_watchdog_as_it_expires() -> None:
    """That is what a leg does."""
    service, dog = watch()
    ended: list[FishLiveError] = []

    def expire(error: FishLiveError) -> None:
        ended.append(error)
        dog.close()

    service.expire = expire  # type: ignore[method-assign]
    dog.flushed()
    await until(60)
    assert [type(error) for error in ended] == [StallTimeout]
    assert not clock().timers


@virtual
async def test_short_deadlines_are_looked_at_more_often() -> None:
    """Within the shortest it looks eight times, so none is late by more than an eighth."""
    service, dog = watch(Deadlines(stall_s=0.4, ping_every_s=None))
    dog.stopped()
    await until(0.01)
    service.heard += 1
    await until(5)
    when_s, _ = end(service)
    assert 0.41 <= when_s <= 0.41 + 0.05


def test_a_tick_is_an_eighth_of_the_shortest_deadline_or_a_quarter_of_a_second() -> None:
    """Whatever is shorter; what has no limit does not count."""
    assert Deadlines().tick_s == 0.25
    for name in ("first_audio_s", "stall_s", "send_s", "ping_every_s", "pong_s"):
        assert Deadlines(**{name: 0.8}).tick_s == pytest.approx(0.1)
    assert Deadlines(first_audio_s=None, pong_s=1.6).tick_s == pytest.approx(0.2)


# Arguments


@pytest.mark.parametrize("name", ["first_audio_s", "stall_s", "send_s", "ping_every_s", "pong_s"])
def test_a_deadline_is_a_number_over_0(name: str) -> None:
    """The error names the argument."""
    for value in (0, -1, float("nan"), True, "10"):
        with pytest.raises(ConfigError) as caught:
            Deadlines(**{name: value})  # type: ignore[arg-type]
        assert caught.value.argument == name


def test_a_pong_always_has_a_limit() -> None:
    """A ping without one would say nothing; pings are switched off by ``ping_every_s``."""
    with pytest.raises(ConfigError) as caught:
        Deadlines(pong_s=None)  # type: ignore[arg-type]
    assert caught.value.argument == "pong_s"


# Anything, in any order


class Model:
    """When audio is owed since, by the words of the module, with perfect attention."""

    def __init__(self) -> None:
        self.owed_at: float | None = None
        self.first = True
        self.stopped = False

    def flushed(self, now: float) -> None:
        self.owed_at = now if self.owed_at is None else self.owed_at

    def stop(self, now: float) -> None:
        self.stopped = True
        self.flushed(now)

    def audio(self, now: float) -> None:
        self.first = False
        self.owed_at = now if self.stopped else None

    def deadline_s(self, first_s: float, stall_s: float) -> float | None:
        if self.owed_at is None:
            return None
        return self.owed_at + (first_s if self.first else stall_s)


STEPS = st.lists(
    st.tuples(st.sampled_from(["flush", "audio", "stop"]), st.integers(1, 40)), max_size=12
)


@given(STEPS)
def test_whatever_happens_it_ends_when_it_should(steps: list[tuple[str, int]]) -> None:
    """Events a tick or more apart, in any order: it ends within a tick of the model's deadline."""
    first_s, stall_s = 7.0, 4.0

    async def main() -> None:
        service, dog = watch(Deadlines(first_audio_s=first_s, stall_s=stall_s, ping_every_s=None))
        model = Model()
        for kind, ticks in steps:
            # Half a tick off the looks, so that it is plain what was seen when.
            await until(round(clock().time() / TICK_S) * TICK_S + ticks * TICK_S - TICK_S / 2)
            if service.ended:
                break
            now = clock().time()
            if kind == "audio":
                service.heard += 1
                model.audio(now)
            elif kind == "flush":
                dog.flushed()
                model.flushed(now)
            else:
                dog.stopped()
                model.stop(now)
        await until(clock().time() + 20)
        due_s = model.deadline_s(first_s, stall_s)
        if due_s is None:
            assert not service.ended
            dog.close()
        else:
            when_s, _ = end(service)
            assert due_s <= when_s <= due_s + TICK_S

    run(main, max_turns=100_000)


def test_connection_lost_and_stalls_are_retryable() -> None:
    """Both are of the service or the network, not of the request."""
    assert ConnectionLost.retryable
    assert StallTimeout.retryable

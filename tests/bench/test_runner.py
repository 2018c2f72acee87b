"""What a run says of a service whose delays are known: each by its name, its place and its size."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fishlive.bench.arrivals import Until
from fishlive.bench.metrics import PATH
from fishlive.bench.records import Record, Result
from fishlive.bench.runner import Runner
from fishlive.bench.workload import Prompt, Workload
from fishlive.errors import AuthenticationError, ConnectError
from fishlive.wire.serving import encode_error
from tests.bench.runs import HELLO, measured, plan
from tests.bench.virtual import Delays, LateService, run

EXACT = 2e-5
"""Virtual time is exact but for what real time leaks in: none. In seconds, for floats' sake."""


def only(result: Result) -> Record:
    """Return the utterance that all the others are like."""
    finished = [record for record in result.records if record.counts]
    assert finished
    return finished[-1]


@pytest.mark.parametrize(
    ("delays", "name", "size_s"),
    [
        (Delays(dns_s=0.040), "dns_s", 0.040),
        (Delays(tcp_s=0.030), "tcp_s", 0.030),
        (Delays(upgrade_s=0.060), "upgrade_s", 0.060),
        (Delays(first_audio_s=0.120), "first_audio_s", 0.120),
        (Delays(silence_s=0.0525), "leading_silence_s", 0.0525),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_delay_is_named(delays: Delays, name: str, size_s: float) -> None:
    """A delay appears under its own name, whole, and under no other step's."""
    record = only(measured(delays))
    steps = {*PATH, "connect_s"} - {"queue_s", name}
    if name in {"dns_s", "tcp_s", "upgrade_s"}:
        steps.remove("connect_s")
    assert getattr(record, name) == pytest.approx(size_s, abs=EXACT)
    others = [
        getattr(record, step) or 0.0 for step in (*steps, "leading_silence_s") if step != name
    ]
    assert sum(others) == pytest.approx(0.0, abs=EXACT)


def test_the_path_has_no_holes() -> None:
    """With every delay at once the steps add up to the response."""
    record = only(measured(Delays(0.01, 0.02, 0.0, 0.03, first_audio_s=0.04)))
    assert record.connect_s == pytest.approx(0.06, abs=EXACT)
    assert record.response_s == pytest.approx(0.10, abs=EXACT)
    assert record.latency_s == pytest.approx(0.10, abs=EXACT)


def test_a_gap_is_placed() -> None:
    """The longest gap has its size, and the audio that came before it."""
    record = only(measured(Delays(chunks=5, gaps_s={1: 0.010, 3: 0.250})))
    assert record.gap_max_s == pytest.approx(0.250, abs=EXACT)
    assert record.gap_at_s == pytest.approx(0.3, abs=EXACT)
    dry = {u.prebuffer_s: (u.count, u.stalled_s) for u in record.underruns}
    # Three chunks of 100 ms are there when the gap begins, 10 ms played meanwhile.
    assert dry[0.0] == (0, 0.0)


def test_a_player_runs_dry() -> None:
    """A gap longer than what is buffered stalls the player without prebuffer, and only that."""
    record = only(measured(Delays(chunks=8, gaps_s={2: 0.250})))
    dry = {u.prebuffer_s: (u.count, round(u.stalled_s, 4)) for u in record.underruns}
    assert dry[0.0] == (1, 0.05)
    assert dry[0.4] == (0, 0.0)


def test_audible_is_later_than_audio() -> None:
    """The first audible sound is behind the leading silence."""
    record = only(measured(Delays(first_audio_s=0.1, silence_s=0.25)))
    assert record.latency_s == pytest.approx(0.1, abs=EXACT)
    assert record.audible_s == pytest.approx(0.35, abs=EXACT)


def test_a_slow_author_is_not_blamed_on_the_service() -> None:
    """Time until the first words is the author's: in the response, not in the latency."""
    tokens = (("Hello", 0.5), (", world.", 0.6))
    slow = Workload("slow", "", (Prompt("p", "Hello, world.", "en", tokens),))
    what = plan(workload=slow, matrix={"stream": ("recorded",)})
    record = only(measured(Delays(upgrade_s=0.2, first_audio_s=0.1), what))
    assert record.text_ready_s == pytest.approx(0.5, abs=EXACT)
    assert record.text_wait_s == pytest.approx(0.3, abs=EXACT), "connecting hid the rest"
    assert record.response_s == pytest.approx(0.6, abs=EXACT)
    assert record.latency_s == pytest.approx(0.1, abs=EXACT)


def test_a_standby_socket_saves_connecting() -> None:
    """With an open socket nothing is waited for, and the record says what was found."""
    record = only(measured(Delays(upgrade_s=0.2), plan(matrix={"socket": ("standby",)})))
    assert (record.socket, record.connect_s) == ("standby", None)
    assert record.latency_s == pytest.approx(0.0, abs=EXACT)


def test_a_reused_socket_is_used_again() -> None:
    """The first utterance connects, the others find its socket."""
    result = measured(Delays(upgrade_s=0.2), plan(matrix={"socket": ("reused",)}))
    assert [r.socket for r in result.records] == ["cold", "reused", "reused"]
    assert result.cells[0].reused == 2


def test_reuse_that_the_service_denies_is_told() -> None:
    """If it closes its sockets, records say what was found, and a note says why."""
    result = measured(Delays(stays=False), plan(matrix={"socket": ("reused",)}))
    assert "reused" not in {record.socket for record in result.records}
    assert any("found a fresh one" in note for note in result.notes)


def test_an_open_loop_blames_a_stall_for_all_it_delays() -> None:
    """Latencies count from the intended start: those who waited behind a stall are late, too."""

    def stall(index: int, _peer: object) -> None:
        delays.first_audio_s = 1.0 if index == 0 else 0.0

    delays = Delays(chunks=1)
    delays.says = stall
    result = measured(delays, plan(runs=5, matrix={"rate": (10.0,)}, max_in_flight=1))
    assert [r.intended_s for r in result.records] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    latencies = [r.latency_s for r in result.records]
    assert latencies == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6], abs=EXACT)
    assert [r.first_audio_s for r in result.records] == pytest.approx([1.0, 0, 0, 0, 0], abs=EXACT)


def test_starts_that_were_held_back_are_told() -> None:
    """How many, and by how much the rate fell short of what was asked for."""
    what = plan(runs=11, matrix={"rate": (10.0,)}, max_in_flight=1)
    (said,) = measured(Delays(first_audio_s=0.2), what).notes
    assert "10/s: 10 of 11 starts were held back because 1 were under way" in said
    assert "5/s were begun, -50% of what was asked for" in said


def test_a_loop_that_keeps_up_says_nothing() -> None:
    """The rate was reached."""
    what = plan(runs=5, matrix={"rate": (10.0,)}, max_in_flight=2)
    assert measured(Delays(first_audio_s=0.05), what).notes == ()


def test_a_closed_loop_keeps_so_many_going() -> None:
    """With three at once, six utterances of a second take two seconds."""
    delays = Delays(first_audio_s=1.0)
    result = measured(delays, plan(runs=6, matrix={"concurrency": (3,)}))
    started = sorted(record.started_s for record in result.records)
    assert started == pytest.approx([0, 0, 0, 1, 1, 1], abs=EXACT)


def test_warming_up_does_not_count() -> None:
    """Its records are kept and marked; statistics, and the number of runs, are without them."""
    result = measured(Delays(), plan(runs=3, warmup=2))
    assert [record.warmup for record in result.records] == [True, True, False, False, False]
    assert (result.cells[0].started, result.cells[0].finished) == (3, 3)
    assert result.cells[0].text_utf8_bytes == 3 * 13
    assert result.billed[0] == 5 * 13, "but it is paid for"


MANY = Workload("many", "", tuple(Prompt(f"p{n}", f"Text {n}.", "en") for n in range(7)))


def test_every_row_speaks_the_same_texts() -> None:
    """In the same order, however many warm up: what differs is not what was said."""
    what = plan(runs=10, workload=MANY, warmup=None, matrix={"concurrency": (1, 2, 5)})
    result = measured(Delays(), what)
    spoken = [
        [r.prompt for r in result.records if r.cell == cell and not r.warmup] for cell in range(3)
    ]
    assert spoken[0] == spoken[1] == spoken[2]
    assert [sum(r.warmup for r in result.records if r.cell == cell) for cell in range(3)] == [
        1,
        2,
        5,
    ]
    first, second, third = result.cells
    assert first.text_utf8_bytes == second.text_utf8_bytes == third.text_utf8_bytes
    assert first.audio_s == pytest.approx(second.audio_s) == pytest.approx(third.audio_s)


def test_time_ends_a_cell() -> None:
    """After its seconds no utterance begins; the running one is finished."""
    result = measured(Delays(first_audio_s=0.4), plan(runs=None, time_s=1.0))
    assert result.cells[0].finished == 3
    assert result.partial is None


def test_a_known_p95_ends_a_cell() -> None:
    """With latencies that are all the same, the interval is narrow once there is one."""
    what = plan(until=Until(runs=500, until_ci=0.05))
    result = measured(Delays(first_audio_s=0.1), what)
    finished = result.cells[0].finished
    assert finished < 150
    (said,) = result.notes
    assert f"stopped after {finished} utterances: the p95 is known to ±0.0% (5.0% asked)" in said


def test_a_p95_that_stays_unknown_is_told() -> None:
    """The other limit came first: nobody may take the p95 for known."""
    (said,) = measured(Delays(), plan(until=Until(runs=5, until_ci=0.05))).notes
    assert "after 5 utterances the p95 is not known at all, and ±5.0% was asked" in said


def test_the_budget_is_never_exceeded() -> None:
    """The last utterance that would exceed it is not begun, and the result says so."""
    each_usd = 13 * 15e-6
    result = measured(Delays(), plan(runs=10, budget_usd=3.5 * each_usd))
    assert result.cells[0].finished == 3
    assert result.billed[1] <= 3.5 * each_usd
    assert "budget" in (result.partial or "")


def test_every_combination_is_a_cell() -> None:
    """Two sockets times two paces are four cells, in order, each with its own records."""
    matrix = {"socket": ("cold", "reused"), "stream": ("whole", "60")}
    result = measured(Delays(), plan(matrix=matrix))
    seen = [(c.combination.socket, c.combination.stream) for c in result.cells]
    assert seen == [("cold", "whole"), ("cold", "60"), ("reused", "whole"), ("reused", "60")]
    assert [len(result.records_of(index)) for index in range(4)] == [3, 3, 3, 3]


def failing(error: str, *, after: int) -> Delays:
    """Return a service that refuses everything after some utterances."""

    def says(index: int, peer: Any) -> bool | None:
        if index < after:
            return None
        peer.send(encode_error(error))
        return True

    return Delays(says=says)


def test_failures_are_counted_by_class() -> None:
    """Some that fail are told by name, and do not disturb the percentiles of the others."""
    flaky = Delays(first_audio_s=0.1)

    def says(index: int, peer: Any) -> bool | None:
        if index % 3 == 1:
            peer.drop()
            return True
        return None

    flaky.says = says
    result = measured(flaky, plan(runs=6))
    assert result.cells[0].failures == {"ConnectionLost": 2}
    assert result.cells[0].finished == 4
    assert result.partial is None
    assert {r.failure for r in result.records} == {None, "ConnectionLost"}


def test_failures_without_end_stop_the_run() -> None:
    """After twenty in a row it stops, and the result says that it is partial, and why."""
    result = measured(failing("overloaded", after=2), plan(runs=100))
    assert result.cells[0].finished == 2
    assert sum(result.cells[0].failures.values()) == 20
    assert "20 failures in a row" in (result.partial or "")


def test_scattered_failures_do_not_stop_the_run() -> None:
    """Thirty of sixty, but never two in a row: all sixty are tried."""

    def says(index: int, peer: Any) -> bool | None:
        if index % 2 == 0:
            return None
        peer.drop()
        return True

    result = measured(Delays(says=says), plan(runs=60))
    assert result.cells[0].failures == {"ConnectionLost": 30}
    assert result.partial is None


def test_nothing_at_all_is_an_error() -> None:
    """A run without one success raises what went wrong."""
    with pytest.raises(Exception, match="overloaded"):
        measured(failing("overloaded", after=0), plan(runs=3))


def test_a_dead_address_is_an_error_at_once() -> None:
    """After five refused connections it does not go on through a hundred."""
    tried = 0

    async def refuse(*_: object) -> Any:
        nonlocal tried
        tried += 1
        raise ConnectError("refused")

    async def work() -> None:
        late = LateService(Delays())
        late.connect = refuse  # type: ignore[method-assign, assignment]
        runner = Runner(plan(runs=100), late.service, measure_overhead=False)
        with pytest.raises(ConnectError):
            await runner.run()
        assert "failures in a row" in (runner.result().partial or "")

    run(work)
    assert tried == 5


def test_a_key_that_stops_working_leaves_what_there_was() -> None:
    """The class that cannot get better ends the run at once; the rest is a partial result."""
    asked = 0

    def meanwhile(runner: Runner, late: LateService) -> None:
        connect = late.connect

        async def until_denied(*given: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked > 3:
                raise AuthenticationError("invalid key", status=401)
            return await connect(*given)

        runner._service.connect["picows"] = until_denied  # type: ignore[index]

    result = measured(Delays(), plan(runs=10), meanwhile=meanwhile)
    assert result.cells[0].finished == 3
    assert result.cells[0].failures == {"AuthenticationError": 1}
    assert result.partial == "AuthenticationError 401"
    assert asked == 4


def test_cancelling_keeps_what_there_is() -> None:
    """What was measured until then is in the result, marked; what ran is told apart."""
    kept: list[Result] = []

    async def work() -> None:
        late = LateService(Delays(first_audio_s=0.3))
        runner = Runner(plan(runs=100), late.service, measure_overhead=False)
        task = asyncio.ensure_future(runner.run())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        kept.append(runner.result())
        await late.aclose()

    run(work)
    result = kept[0]
    assert result.partial == "interrupted"
    assert (result.cells[0].finished, result.cells[0].cancelled) == (3, 1)
    assert result.cells[0].failures == {}
    assert result.records[-1].ending == "cancelled"


def test_an_utterance_may_not_take_for_ever() -> None:
    """Over its time it failed, and the next one begins."""
    silent = Delays(says=lambda index, _peer: True if index == 0 else None)
    result = measured(silent, plan(runs=2, timeout_s=5.0))
    assert result.cells[0].finished == 1
    assert list(result.cells[0].failures.values()) == [1]
    assert result.records[0].wall_s <= 5.0 + EXACT


def test_the_same_seed_speaks_the_same() -> None:
    """Two runs ask for the same texts in the same order; another seed, for another order."""
    texts = Workload("many", "", tuple(Prompt(f"p{n}", f"Text {n}.", "en") for n in range(9)))

    def order(seed: int) -> list[str]:
        result = measured(Delays(), plan(workload=texts, runs=9, seed=seed))
        return [record.prompt for record in result.records]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(p.id for p in texts.prompts)


def test_no_text_is_in_a_record() -> None:
    """A result holds ids of texts, and nothing of what was said."""
    assert HELLO.prompts[0].text not in repr(measured(Delays()))


def test_progress_is_told() -> None:
    """Whoever shows it hears of each utterance, with the percentiles so far."""
    seen: list[tuple[int, float | None]] = []

    async def work() -> None:
        late = LateService(Delays(first_audio_s=0.1))

        def show(progress: Any) -> None:
            seen.append((progress.done, progress.headline.percentile(50)))

        await Runner(plan(), late.service, on_progress=show, measure_overhead=False).run()
        await late.aclose()

    run(work)
    assert [done for done, _ in seen] == [0, 1, 2, 3]
    assert seen[-1][1] == pytest.approx(0.1, abs=EXACT)

"""The page: whole, harmless, small, and readable without seeing a drawing."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.bench.html import MOST_CURVES, MOST_DETAILED, letter, page, write_html
from fishlive.bench.metrics import METRICS
from fishlive.bench.page.charts import spread, thinned
from fishlive.bench.page.svg import Scale, esc, upright
from fishlive.bench.records import Client, Combination, Overhead, Record, Result, Underruns
from fishlive.bench.summary import cell_of
from fishlive.errors import ConfigError
from tests.bench.samples import COLD, record, result

HOSTILE = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, attributes and text; checks the nesting."""

    EMPTY = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"th", "td"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.rows and {"th", "td"} & set(self._open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        """All that can be read."""
        return " ".join(self.texts)


def utterance(index: int, **changes: Any) -> Record:
    """Return one with all that a page draws."""
    plain: dict[str, Any] = {
        "index": index, "intended_s": index * 0.5, "started_s": index * 0.5, "connect_s": 0.05,
        "dns_s": 0.001, "tcp_s": 0.01, "tls_s": 0.02, "upgrade_s": 0.015, "text_ready_s": 0.0,
        "text_wait_s": 0.002, "other_s": 0.001, "first_audio_s": 0.25, "leading_silence_s": 0.03,
        "audible_s": 0.35, "gap_max_s": 0.2, "gap_at_s": 0.5, "arrivals_s": (0.3, 0.4, 0.6),
        "sizes_bytes": (16_000, 16_000, 16_000), "audio_bytes": 48_000, "socket": "cold",
        "underruns": (Underruns(0.0, 1, 0.05), Underruns(0.1, 0, 0.0)),
    }  # fmt: skip
    return record(0.3 + index / 1000, **(plain | changes))


def run(cells: dict[Combination, list[Record]], **changes: Any) -> Result:
    """Return a run of these utterances."""
    found, made = [], []
    for index, (combination, records) in enumerate(cells.items()):
        mine = [replace(one, cell=index) for one in records]
        made.append(cell_of(combination, mine))
        found += mine
    return replace(result([]), cells=tuple(made), records=tuple(found), **changes)


def plain(count: int = 20) -> Result:
    """Return a run of one combination."""
    return run({COLD: [utterance(index) for index in range(count)]})


def test_all_parts_are_there() -> None:
    """Waterfall, percentiles, latency over time, gaps, underruns, failures, cost, conditions."""
    read = Reader(page(plain()))
    for title in (
        "Before you believe it", "What came out", "Where the time goes", "Percentiles",
        "Each combination", "Would a player have run dry?", "Failures", "The slowest utterances",
        "Cost", "This tool and this machine", "Configuration", "Environment",
    ):  # fmt: skip
        assert title in read.texts
    assert "latency over time: 20 finished, 0 failed" in read.text
    assert "Gaps between chunks: 40, the longest 200.0 ms" in read.text
    assert "Percentiles of latency, in milliseconds: A p50" in read.text
    assert ["workload", "hello"] in read.rows
    assert "fishlive bench" in read.text


def test_the_waterfall_names_each_step_and_its_size() -> None:
    """In a table, to be read without seeing the bars; the steps of connecting leave no hole."""
    rows = {row[0]: row for row in Reader(page(plain())).rows}
    for step, median in (
        ("DNS", "1.0"), ("TCP", "10.0"), ("TLS", "20.0"), ("upgrade", "15.0"),
        ("rest of connecting", "4.0"), ("wait for text", "2.0"), ("first audio", "250.0"),
        ("leading silence", "30.0"),
    ):  # fmt: skip
        assert float(rows[step][2]) == pytest.approx(float(median), rel=0.002, abs=0.06)


def test_nothing_is_fetched_and_nothing_runs() -> None:
    """No address, no script, no style but the page's own; and the page forbids it to itself."""
    text = page(plain())
    read = Reader(text)
    assert not {"script", "iframe", "object", "img", "base", "form"} & set(read.tags)
    names = {name for name, _ in read.attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style"}}
    links = [value or "" for name, value in read.attributes if name == "href"]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"https?://|url\(|@import", text)
    policy = next(v or "" for _, v in read.attributes if (v or "").startswith("default-src"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_policy_allows_just_this_style() -> None:
    """The style is named by its hash: another one, smuggled in, would not count."""
    import base64
    import hashlib

    text = page(plain())
    style = text.split("<style>", 1)[1].split("</style>", 1)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text


def test_names_from_outside_are_text() -> None:
    """A prompt, a voice, a workload, a class of error or a command that is markup stays text."""
    bad = [utterance(0, prompt=HOSTILE, language='"><b>'),
           utterance(1, ending="failed", failure=HOSTILE, failure_detail=HOSTILE)]  # fmt: skip
    hostile = run({replace(COLD, voice=HOSTILE): bad, COLD: bad}, partial=HOSTILE, notes=(HOSTILE,))
    where = replace(
        hostile.environments[0], command=("bench", HOSTILE, "\udcff\x1b[2J\u202e"), cpu=HOSTILE
    )
    config = replace(hostile.config, workload=HOSTILE, target=HOSTILE, workload_origin="'\"&<")
    text = page(replace(hostile, environments=(where,), config=config))
    read = Reader(text)
    assert "script" not in read.tags
    assert text.count("&lt;script&gt;") >= 9
    assert "\x1b" not in text
    assert "\u202e" not in text


@given(st.text())
def test_anything_is_escaped(text: str) -> None:
    """Whatever it is, it is read as text, and fits any encoding of a page."""
    assert Reader(f"<p>{esc(text)}</p>").tags == ["p"]
    assert all(c.isprintable() for c in esc(text))


def test_a_partial_run_says_so() -> None:
    """On top, with its reason; and at the combination that is."""
    whole = plain()
    cells = (replace(whole.cells[0], partial="interrupted"),)
    text = Reader(page(replace(whole, cells=cells, partial="interrupted"))).text
    assert "PARTIAL : interrupted" in text
    assert "(partial)" in text
    assert "PARTIAL" not in Reader(page(whole)).text


def test_failures_are_shown_by_class() -> None:
    """With their status, their share, and a cross each where they happened."""
    failed = [utterance(n, ending="failed", failure="ServerError", failure_detail="status 503")
              for n in range(5)]  # fmt: skip
    text = page(run({COLD: [*(utterance(n) for n in range(15)), *failed]}))
    read = Reader(text)
    row = next(row for row in read.rows if "ServerError" in row)
    assert row[2:] == ["status 503 (5)", "5", "25.0% "]
    assert 'class="cross"' in text
    assert "None failed" in Reader(page(plain())).text


def test_players_that_run_dry_are_counted() -> None:
    """By prebuffer: the share of utterances, how often, how long."""
    read = Reader(page(plain(20)))
    assert any(row[1:] == ["100.0% 20 stalls, 1.00 s", "0.0% no stall"] for row in read.rows)


def test_doubts_are_on_top() -> None:
    """Few samples, a machine at its limit, the tool's own share."""
    seen = Client(1.0, 0.95, 0.0, 0.0, 0.0, 100, ("this machine was the limit: …",))
    base = plain()
    cells = (replace(base.cells[0], client=(seen,)),)
    over = Overhead(50, 0.001, 0.002, 0.0003, 0.0004, supported=False)
    text = Reader(page(replace(base, cells=cells, overhead=over))).text
    for part in ("too few samples", "this machine was the limit", "first audio 0.30 ms", "95%"):
        assert part in text


def test_a_file_without_raw_events_has_a_page() -> None:
    """What is drawn over time is missing, and that is said; the curves are there."""
    text = Reader(page(replace(plain(), records=()))).text
    assert "The file has no raw events" in text
    assert "Percentiles of latency" in text


TASK = replace(record(0.1), latency_s=None, first_audio_s=None)


@pytest.mark.parametrize(
    "empty",
    [
        run({COLD: []}),
        replace(result([]), cells=(), records=()),
        run({COLD: [utterance(0, ending="failed", failure="ServerError")]}),
        run({COLD: [utterance(0)]}),
        run({replace(COLD, transport="acedata"): [TASK]}),
        run({COLD: [record(0.0, first_audio_s=0.0, wall_s=0.0)]}),
    ],
    ids=["nothing yet", "no cells", "all failed", "one", "gateway", "zero"],
)
def test_little_is_no_reason_to_fail(empty: Result) -> None:
    """Whatever Ctrl-C or a dead service left becomes a page."""
    assert "What came out" in Reader(page(empty)).texts


def test_a_long_run_stays_small() -> None:
    """Dots are thinned, and the page says so; the slowest stay."""
    many = [utterance(index) for index in range(4000)]
    text = page(run({COLD: many}))
    assert len(text) < 250_000
    assert "2,000 of 4,000 are drawn; the slowest are all there" in Reader(text).text


def test_a_large_matrix_stays_small() -> None:
    """Sixty combinations: all in the tables, the first ones drawn, and that is said."""
    cells = {replace(COLD, voice=f"v{n}"): [utterance(m) for m in range(3)] for n in range(60)}
    text = page(run(cells))
    assert len(text) < 800_000
    said = Reader(text).text
    assert f"Drawn are the first {MOST_DETAILED} of 60" in said
    assert f"Drawn are the first {MOST_CURVES} of 60" in said
    assert said.count("v59") >= 3


def test_every_drawing_has_a_name() -> None:
    """Who cannot see it hears what it shows; names are not given twice."""
    text = page(run({COLD: [utterance(n) for n in range(5)], replace(COLD, voice="v"): []}))
    assert text.count('role="img"') == text.count("aria-labelledby=") - text.count("<section")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for named in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert named in ids


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What cannot be written is an error that names the option; nothing is left behind."""
    write_html(plain(), tmp_path / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(ConfigError, match="cannot write") as caught:
        write_html(plain(), tmp_path / "no" / "a.html")
    assert caught.value.argument == "html"


@given(st.lists(st.floats(0, 1000), max_size=200), st.integers(2, 50))
def test_thinning_keeps_the_heaviest(values: list[float], most: int) -> None:
    """Never more than asked for, in order, and the upper half of the budget is the largest."""
    kept = thinned(values, most, values)
    assert len(kept) <= max(most, 0) or len(values) <= most
    rest = iter(values)
    assert all(value in rest for value in kept), "a part, in order"
    heavy = sorted(values, reverse=True)[: most // 2]
    assert sorted(kept, reverse=True)[: len(heavy)] == heavy


@given(st.lists(st.floats(30, 230), max_size=6))
def test_letters_do_not_lie_on_each_other(places: list[float]) -> None:
    """However close the ends of lines are."""
    found = sorted(spread(places))
    assert all(later - earlier >= 16.9 for earlier, later in itertools.pairwise(found))


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e4), max_size=50))
def test_ticks_are_few_and_round(values: list[float]) -> None:
    """Any values have an axis: a handful of ticks, within it, and every value too."""
    scale = upright(values)
    assert 1 <= len(scale.ticks()) <= 16
    assert all(scale.low * 0.99 <= tick <= scale.high * 1.01 for tick in scale.ticks())
    assert all(
        min(scale.start, scale.end) <= scale(v) <= max(scale.start, scale.end) for v in values
    )


def test_a_scale_is_linear_unless_one_value_dwarfs_the_others() -> None:
    """An outlier does not press the others flat."""
    assert not upright([0.4, 0.5, 0.6]).log
    assert upright([0.4, 0.4, 0.4, 30.0]).log
    assert Scale(0.0, 10.0, 0.0, 100.0)(5.0) == 50.0


def test_letters_go_on_behind_z() -> None:
    """A, B, … Z, AA: short names for any matrix."""
    assert [letter(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip


def test_every_step_has_a_colour() -> None:
    """A step that is added later is not drawn black on black."""
    from fishlive.bench.html import _asset
    from fishlive.bench.metrics import PATH
    from fishlive.bench.page.path import _colour

    style = _asset("page.css")
    for name in (*PATH, "connect_s"):
        assert f".{_colour(name)} {{" in style
        assert name in METRICS


def test_the_warm_up_has_a_line_of_its_own_in_the_costs() -> None:
    """A row and its hour of audio cost what was measured; the sum is all that was billed."""
    made = [record(0.1), record(0.1, warmup=True)]
    said = page(replace(result([]), cells=(cell_of(COLD, made),)))
    costs = said[said.index('<section id="cost"') :]
    assert "<td>13</td><td>$0.0002</td><td>1.0</td><td>$0.72</td>" in costs
    assert '<th scope="row">to warm up</th><td>13</td><td>$0.0002</td>' in costs
    assert "<td>26</td><td>$0.0004</td>" in costs


def test_a_tile_doubts_as_the_table_does() -> None:
    """A percentile from too few samples has its mark there too; from enough it has none."""
    assert "<dd>100.0?<small>" in page(result([0.1]))
    enough = page(result([0.1] * 200))
    assert "<dd>100.0<small>" in enough
    assert "100.0?<small>" not in enough


def test_the_page_names_the_program_that_made_it() -> None:
    """In its command line, and nowhere else."""
    made = result([0.1])
    where = replace(made.environments[0], program="locust", command=("-f", "x.py"))
    said = page(replace(made, environments=(where,)))
    assert "<td>locust -f x.py</td>" in said
    assert ">program<" not in said

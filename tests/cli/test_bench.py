"""``fishlive bench``: one command, one table, and the files that make it again."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from fishlive.bench.files import read_records, read_result, write_result
from fishlive.bench.workload import load
from fishlive.cli.exits import ExitCode
from fishlive.server import LocalServer
from tests.bench.samples import CONFIG, result
from tests.cli.command import call, finished, names, started, wait_for

QUICK = ("--profile", "instant", "--stream", "whole", "--runs", "3", "--warmup", "0")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a key in the environment."""
    monkeypatch.setenv("FISH_API_KEY", "local")


async def test_a_run_without_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command measures the local server, shows a table and writes every file."""
    files = {name: tmp_path / f"out.{name}" for name in ("json", "jsonl", "parquet")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert await call("bench", "--local", *QUICK, "--socket", "cold,reused", *options) == 0

    shown = capsys.readouterr()
    assert "what came out" in shown.out
    assert "first audio" in shown.out
    assert "overhead of this tool" in shown.out
    assert "a ? marks a percentile from too few samples" in shown.out
    found = read_result(files["json"])
    assert [cell.finished for cell in found.cells] == [3, 3]
    assert found.cells[1].reused == 2
    assert found.partial is None
    assert sorted(read_records(files["jsonl"]), key=lambda r: (r.cell, r.index)) == list(
        found.records
    )
    assert names(tmp_path) == ["out.json", "out.jsonl", "out.parquet"]


async def test_the_file_shows_the_same_table(
    tmp_path: Path, key: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second person gets from the file what the first one saw."""
    path = str(tmp_path / "a.json")
    async with LocalServer() as server:
        assert await call("bench", "--url", server.url, *QUICK, "--json", path) == 0
    seen = capsys.readouterr().out
    assert await call("bench", "show", path) == 0
    assert capsys.readouterr().out == seen


async def test_several_files_are_shown_as_one(
    tmp_path: Path, key: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of three are six."""
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    async with LocalServer() as server:
        for path in paths:
            assert await call("bench", "--url", server.url, *QUICK, "--json", path) == 0
    capsys.readouterr()
    assert await call("bench", "show", *paths) == 0
    row = capsys.readouterr().out.split("what came out", 1)[1].splitlines()[2]
    assert row.startswith("6 ")


async def test_json_alone_on_standard_output(key: None, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--json -`` there is nothing else, so that a script can read it."""
    async with LocalServer() as server:
        assert await call("bench", "--url", server.url, *QUICK, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "fishlive.bench"


async def test_a_dead_address_is_one_line(
    unused_port: int, key: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No table of nothing: what is wrong, and the code for the network."""
    path = tmp_path / "a.json"
    url = f"http://127.0.0.1:{unused_port}"
    assert await call("bench", "--url", url, "--json", str(path)) == ExitCode.NETWORK
    shown = capsys.readouterr()
    assert shown.out == ""
    price, error = shown.err.splitlines()
    assert "at most by the price list" in price
    assert "error: cannot reach" in error
    assert not path.exists()


async def test_a_deadline_that_nothing_meets_is_said(
    key: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the option, and nothing is silent."""
    async with LocalServer(profile="fish-normal") as server:
        code = await call("bench", "--url", server.url, *QUICK, "--timeout", "0.01")
    assert code == ExitCode.FAILED
    assert "utterances take longer than 0.01 s: use a longer --timeout" in capsys.readouterr().err


async def test_a_key_without_credit_half_way(
    key: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured until then is shown and written, marked; the code says why it ended."""
    path = tmp_path / "a.json"
    async with LocalServer(credit=0.0015) as server:
        code = await call("bench", "--url", server.url, *QUICK[:4], "--json", str(path))
    assert code == ExitCode.DENIED
    shown = capsys.readouterr()
    assert "PARTIAL: InsufficientCreditsError" in shown.out
    assert "marked partial" in shown.err
    found = read_result(path)
    assert 1 <= found.cells[0].finished < 20
    assert (found.partial or "").startswith("InsufficientCreditsError")


async def test_the_budget_ends_a_run_in_time(key: None, capsys: pytest.CaptureFixture[str]) -> None:
    """That is no failure: it was asked for. The table says that it is partial."""
    async with LocalServer() as server:
        assert await call("bench", "--url", server.url, *QUICK, "--budget", "0.0012") == 0
    assert "PARTIAL: the budget of $0.0012" in capsys.readouterr().out


async def test_a_gateway_is_measured_to_its_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no first audio, but the time until the task has a result."""
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "local")
    async with LocalServer() as server:
        code = await call(
            "bench", "--url", server.url, "--gateway", "acedata", "--runs", "2", "--warmup", "0"
        )
    assert code == 0
    assert "from the start to a task's result" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", ExitCode.INTERRUPTED), ("SIGHUP", ExitCode.HUNG_UP)]
)
@pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to one process there")
def test_a_signal_writes_what_there_is(name: str, code: ExitCode, tmp_path: Path) -> None:
    """The table and the file with what was measured, marked; nothing is left running."""
    log, path = tmp_path / "a.jsonl", tmp_path / "a.json"
    options = ("--stream", "whole", "--runs", "1000", "--jsonl", str(log), "--json", str(path))
    with started("bench", "--local", *options, cwd=tmp_path) as process:
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 3, process)
        process.send_signal(getattr(signal, name))
        out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"PARTIAL: interrupted" in out
    found = read_result(path)
    assert found.partial == "interrupted"
    assert found.cells[0].finished >= 1
    assert found.cells[0].failures == {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--model", "s2-prp"), "did you mean s2-pro"),
        (("--workload", "nothing.txt"), "--workload: cannot read nothing.txt"),
        (("--workload", "/dev/null"), "no text in it"),
        (("--language", "xx"), "--language"),
        (("--concurrency", "two"), "--concurrency: two"),
        (("--latency", "lowish"), "--latency"),
        (("--runs", "0"), "--runs"),
        (("--until-ci", "0"), "--until-ci: over 0% and under 100%, not 0"),
        (("--until-ci", "5"), "--until-ci: over 0% and under 100%, not 5 (did you mean 5%?)"),
        (("--budget", "0"), "--budget: $0 allows no utterance: the shortest costs $0.000"),
        (("--concurrency", ","), "--concurrency: no value in ,"),
        (("--workload", ""), "--workload: no name: one of mixed, short"),
        (("--jsonl", "-"), "--jsonl: only --json writes to standard output"),
        (("--html", "-"), "--html: only --json writes to standard output"),
        (("--html", "x", "--json", "x"), "--html and --json are the same file: x"),
        (("--jsonl", "x", "--json", "./x"), "--jsonl and --json are the same file: x"),
        (("--until-ci", "x", "--runs", "9"), "--until-ci: a percentage"),
        (("--fail-over", "p95=10%"), "needs --compare"),
        (("--fail-over", "p95", "--compare", "x"), "such as p95=10%"),
        (("--compare", "missing.json"), "cannot read missing.json"),
        (("--json", "no/such/a.json"), "no folder"),
        (("--gateway", "acedata", "--transport", "rest"), "leave --transport out"),
        (("--transport", "rest", "--socket", "standby"), "no standby"),
        (("--url", "http://x.example"), "--local needs no --base-url"),
    ],
)
def test_a_wrong_option_costs_nothing(
    tmp_path: Path, arguments: tuple[str, ...], why: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One line that names it, before anything is started or sent."""
    from fishlive.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--local", *arguments]) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert why in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_base_of_another_version_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured that could not be compared."""
    from fishlive.cli import main

    (tmp_path / "old.json").write_text('{"kind": "fishlive.bench", "schema": 0}')
    arguments = ["bench", "--local", "--compare", str(tmp_path / "old.json")]
    assert main(arguments) == ExitCode.USAGE
    assert "is of version 0" in capsys.readouterr().err


def test_files_are_not_replaced_unless_told(tmp_path: Path) -> None:
    """As with every command."""
    (tmp_path / "a.json").write_text("precious")
    done = finished("bench", "--local", "--json", "a.json", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert b"--force" in done.stderr
    assert (tmp_path / "a.json").read_text() == "precious"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Return a base that every run against a local server is far better than."""
    return base_file(tmp_path / "slow.json", [9.0 + index / 100 for index in range(30)])


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Return a base that every run is far worse than."""
    return base_file(tmp_path / "quick.json", [1e-6 * (index + 1) for index in range(30)])


def base_file(path: Path, latencies_s: list[float]) -> Path:
    """Write a result of what QUICK measures."""
    config = replace(CONFIG, workload="short", workload_sha256=load("short").sha256)
    write_result(result(latencies_s, config=config), path)
    return path


async def test_a_run_that_is_worse_than_its_base_fails(
    tmp_path: Path, key: None, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shown, and with a limit that is broken the exit code is 1; the files are written first."""
    path, page = tmp_path / "new.json", tmp_path / "a.html"
    options = ("--compare", str(quick), "--json", str(path), "--html", str(page))
    async with LocalServer() as server:
        code = await call("bench", "--url", server.url, *QUICK, *options, "--fail-over", "p50=10%")
    assert code == ExitCode.WORSE == 6
    shown = capsys.readouterr()
    assert "against the base" in shown.out
    assert "worse than allowed: latency p50 +" in shown.err
    assert read_result(path).cells[0].finished == 3
    assert page.read_text().startswith("<!doctype html>")


async def test_a_run_that_is_better_than_its_base_passes(
    key: None, slow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However fine the limit is."""
    options = ("--compare", str(slow), "--fail-over", "p50=0%")
    async with LocalServer() as server:
        assert await call("bench", "--url", server.url, *QUICK, *options) == 0
    assert "better" in capsys.readouterr().out


async def test_too_few_runs_for_a_limit_are_no_success(
    key: None, slow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three utterances have no p95: it says what it takes, before anything is measured."""
    options = ("--compare", str(slow), "--fail-over", "p95=10%")
    async with LocalServer() as server:
        code = await call("bench", "--url", server.url, *QUICK, *options)
    assert code == ExitCode.USAGE
    shown = capsys.readouterr()
    assert "p95 cannot be told from 3 utterances (--runs): it takes 20 at least" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--workload", "medium"), "the base speaks other texts"),
        (("--socket", "reused"), "socket is cold there and reused here"),
        (("--fail-over", "gap_s:p95=1%"), "take gap_max_s"),
        (("--fail-over", "nothing:p95=1%"), "a limit is on one of latency_s"),
    ],
)
def test_a_base_that_cannot_be_compared_is_refused_first(
    slow: Path, arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured or paid for; the file is named."""
    from fishlive.cli import main

    command = ["bench", "--local", *QUICK[:4], *arguments, "--compare", str(slow)]
    assert main(command) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"--compare {slow}: " in shown.err
    assert why in shown.err


def test_files_are_compared_with_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files are two comparisons; the code is that of the first that fails."""
    from fishlive.cli import main

    paths = [
        str(base_file(tmp_path / f"{name}.json", [base_s + n / 1000 for n in range(30)]))
        for name, base_s in (("a", 0.1), ("b", 0.1), ("c", 0.4))
    ]
    assert main(["bench", "compare", *paths]) == 0
    shown = capsys.readouterr().out
    assert f"{paths[1]} against {paths[0]}:" in shown
    assert f"{paths[2]} against {paths[0]}:" in shown
    assert shown.count("against the base") == 2
    limit = ["--fail-over", "p95=10%"]
    assert main(["bench", "compare", *paths[:2], *limit]) == 0
    assert main(["bench", "compare", *paths, *limit]) == ExitCode.WORSE
    assert f"in {paths[2]}" in capsys.readouterr().err
    assert main(["bench", "compare", paths[0]]) == ExitCode.USAGE
    assert "at least one more" in capsys.readouterr().err


def test_a_page_is_made_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``show --html``: the same page as the run's own; it replaces nothing unless told."""
    from fishlive.cli import main

    path, page = base_file(tmp_path / "a.json", [0.1, 0.2]), tmp_path / "a.html"
    assert main(["bench", "show", str(path), "--html", str(page)]) == 0
    assert "What came out" in page.read_text()
    assert f"the report is in {page}" in capsys.readouterr().err
    assert main(["bench", "show", str(path), "--html", str(page)]) == ExitCode.USAGE
    assert "--force" in capsys.readouterr().err
    assert main(["bench", "show", str(path), "--html", str(page), "--force"]) == 0


def test_a_file_is_not_merged_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whatever name it is given twice."""
    from fishlive.cli import main

    path = base_file(tmp_path / "a.json", [0.1, 0.2])
    (tmp_path / "b.json").symlink_to(path)
    assert main(["bench", "show", str(path), str(tmp_path / "b.json")]) == ExitCode.USAGE
    assert "b.json is given twice" in capsys.readouterr().err


def test_a_known_p95_is_limit_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """``--until-ci`` alone ends by itself, and says when and why."""
    from fishlive.cli import main

    quick = ["--profile", "instant", "--stream", "whole", "--warmup", "0"]
    assert main(["bench", "--local", *quick, "--until-ci", "99%"]) == 0
    assert "utterances: the p95 is known to ±" in capsys.readouterr().out

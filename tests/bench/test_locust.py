"""Real processes of Locust against a server in this one. Locust patches what imports it: not us."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from fishlive.bench.files import read_records, read_result
from fishlive.bench.records import Record, Result
from fishlive.bench.summary import histograms
from fishlive.bench.tables import heading
from fishlive.server import LocalServer

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="needs locust"),
    pytest.mark.timeout(180),  # up to five processes, each of which imports for seconds
]

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "locustfile.py"
RAW = """
import os
from pathlib import Path
from locust import events
from fishlive.bench.files import RecordLog
from fishlive.bench.locust import FishUser

class Caller(FishUser):
    pass

logs = []

@events.request.add_listener
def keep(response=None, **_):
    if response is not None:
        logs or logs.append(RecordLog(Path(f"raw-{os.getpid()}.jsonl")))
        logs[0].add(response)
"""


CTRL_C = """
import os, signal, gevent
from fishlive.bench.greenlets import CtrlC

done = []

def work():
    for number in range(5):
        os.kill(os.getpid(), signal.SIGINT)
        done.append(number)

def wait(worker):
    try:
        worker.join()
        gevent.sleep(60)
    except KeyboardInterrupt:
        return "interrupted"

held = CtrlC()
print(wait(gevent.spawn(work)), done)
held.release()
done.clear()
print(wait(gevent.spawn(work)), done)
"""


@dataclass
class Locust:
    """A process of Locust, and what it has said."""

    process: asyncio.subprocess.Process
    said: str = ""

    async def wait_for(self, words: str) -> None:
        """Read what it says until these words."""
        assert self.process.stderr is not None
        while words not in self.said:
            line = await self.process.stderr.readline()
            assert line, self.said
            self.said += line.decode()

    async def ended(self) -> int:
        """Return its exit code, once nobody has its standard error open: no child is left."""
        assert self.process.stderr is not None
        self.said += (await self.process.stderr.read()).decode()
        return await self.process.wait()


@contextlib.asynccontextmanager
async def locust(
    folder: Path, *arguments: str, key: str | None = "local", file: Path = EXAMPLE
) -> AsyncIterator[Locust]:
    """Start a process of Locust; kill it if the test did not end it."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("FISH")}
    keyed = {} if key is None else {"FISH_API_KEY": key}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", str(file), *arguments),
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | keyed,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Locust(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(folder: Path, *arguments: str, key: str | None = "local") -> tuple[int, str, Result]:
    """Run a test in one process; return its exit code, what it said, and its result."""
    given = ("--headless", "--only-summary", "--fishlive-json", "all.json", *arguments)
    async with locust(folder, *given, key=key) as single:
        code = await single.ended()
        return code, single.said, read_result(folder / "all.json")


def plain(record: Record) -> Record:
    """Return a record without its place among others."""
    return replace(record, cell=0, source=0)


async def test_percentiles_of_two_workers_are_those_of_the_pooled_samples(
    tmp_path: Path, unused_port: int
) -> None:
    """What the master merged is what all raw samples make, to the last bucket."""
    file = tmp_path / "raw.py"
    file.write_text(RAW)
    port = str(unused_port)
    async with LocalServer() as server, contextlib.AsyncExitStack() as stack:
        master = await stack.enter_async_context(
            locust(
                tmp_path,
                *("--master", "--headless", "--only-summary", "--expect-workers", "2"),
                *("--master-bind-host", "127.0.0.1", "--master-bind-port", port),
                *("--host", server.url, "-u", "4", "-r", "4"),
                *("--fishlive-utterances", "5", "--fishlive-stream", "whole"),
                *("--fishlive-records", "--fishlive-json", "all.json"),
                key=None,
                file=file,
            )
        )
        workers = [
            await stack.enter_async_context(
                locust(tmp_path, "--worker", "--master-port", port, file=file)
            )
            for _ in range(2)
        ]
        codes = [await process.ended() for process in (master, *workers)]

    assert codes == [0, 0, 0], master.said
    result = read_result(tmp_path / "all.json")
    raw = [list(read_records(found)) for found in sorted(tmp_path.glob("raw-*.jsonl"))]
    pooled = [record for records in raw for record in records]
    assert [len(records) for records in raw] == [10, 10]
    (cell,) = result.cells
    assert (cell.started, cell.finished, cell.combination.concurrency) == (20, 20, 4)
    assert dict(cell.histograms) == histograms(pooled)
    counted = [plain(record) for record in result.records if not record.warmup]
    assert sorted(counted, key=repr) == sorted(map(plain, pooled), key=repr)
    assert {record.source for record in result.records} == {0, 1}
    assert (len(result.environments), len(cell.client), result.partial) == (2, 2, None)
    assert result.overhead is not None
    assert "locust" in result.environments[0].versions


async def test_a_lost_worker_takes_along_what_it_had_not_told(
    tmp_path: Path, unused_port: int
) -> None:
    """What it had told is in the result, which says that a worker was lost."""
    port = str(unused_port)
    async with (
        LocalServer() as server,
        locust(
            tmp_path,
            *("--master", "--headless", "--only-summary", "--loglevel", "DEBUG"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", port),
            # The second user is for the day after: the run does not end by itself.
            *("--host", server.url, "-u", "2", "-r", "0.001"),
            *("--fishlive-utterances", "3", "--fishlive-json", "all.json"),
            key=None,
        ) as master,
        locust(tmp_path, "--worker", "--master-port", port) as worker,
    ):
        await master.wait_for("Received fishlive-report message from worker")
        worker.process.kill()
        await worker.ended()
        master.process.send_signal(signal.SIGINT)
        code = await master.ended()

    result = read_result(tmp_path / "all.json")
    assert (code, result.cells[0].finished) == (1, 3)
    assert "lost 1 of the workers" in (result.partial or "")
    assert "stopped when 1 of 2 users had said everything" in (result.partial or "")


async def test_one_process_runs_without_a_page(tmp_path: Path) -> None:
    """Each user speaks what it was to speak, warm-up apart, and the run ends by itself."""
    async with LocalServer() as server:
        url = server.url
        code, said, result = await run(
            tmp_path, "--host", url, "-u", "2", "-r", "2", "--fishlive-utterances", "3"
        )

    assert code == 0, said
    (cell,) = result.cells
    assert (cell.started, cell.finished, result.partial) == (6, 6, None)
    assert (result.config.target, result.config.runs) == (url, 6)
    assert "the result is in all.json" in said
    assert "made by: locust -f" in "\n".join(heading(result))


async def test_latency_counts_from_the_intended_start(tmp_path: Path) -> None:
    """Starts are intended at even distances, and a slow service makes the next ones late."""
    async with LocalServer(first_audio_s=0.3) as server:
        code, said, result = await run(
            tmp_path,
            *("--host", server.url, "--fishlive-utterances", "4", "--fishlive-warmup", "0"),
            *("--fishlive-pacing", "0.1", "--fishlive-stream", "whole", "--fishlive-records"),
        )

    assert code == 0, said
    begun = [record.intended_s for record in result.records]
    assert [round(at_s - begun[0], 6) for at_s in begun] == [0.0, 0.1, 0.2, 0.3]
    queued = [record.queue_s for record in result.records]
    assert queued == sorted(queued)
    assert all(r.latency_s and r.latency_s > r.queue_s > 0 for r in result.records[1:])
    assert result.cells[0].combination.rate == pytest.approx(10)


async def test_interrupting_ends_utterances_and_their_sockets(tmp_path: Path) -> None:
    """Ctrl-C cancels what is under way, writes what there is, and leaves nothing open."""
    open_now: set[asyncio.StreamWriter] = set()
    both, none = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        if len(open_now) == 2:
            both.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass
        writer.close()
        open_now.discard(writer)
        if not open_now:
            none.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    options = ("--headless", "--host", url, "-u", "2", "-r", "2", "--fishlive-warmup", "0")
    async with locust(tmp_path, *options, "--fishlive-json", "all.json") as single:
        await both.wait()
        single.process.send_signal(signal.SIGINT)
        code = await single.ended()
        await none.wait()
    server.close()
    await server.wait_closed()

    assert code == 0, single.said
    (cell,) = read_result(tmp_path / "all.json").cells
    assert (cell.started, cell.cancelled, cell.failures) == (2, 2, {})
    assert "Traceback" not in single.said


async def test_ctrl_c_is_for_the_main_greenlet_wherever_it_hits() -> None:
    """A greenlet that is at work when Ctrl-C comes does all of it; afterwards Python decides."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CTRL_C),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()

    assert said.decode().splitlines() == ["interrupted [0, 1, 2, 3, 4]", "interrupted []"]
    assert process.returncode == 0


async def test_a_killed_process_takes_along_the_one_that_speaks(tmp_path: Path) -> None:
    """Nothing is spoken any more once Locust is gone, whatever ended it."""
    async with (
        LocalServer() as server,
        locust(tmp_path, "--headless", "--host", server.url) as single,
    ):
        await single.wait_for("All users spawned")
        single.process.kill()

        assert await single.ended() == -signal.SIGKILL


async def test_a_key_that_is_refused_ends_the_run(tmp_path: Path) -> None:
    """Users do not go on where every utterance fails; the result says so, and so does Locust."""
    async with LocalServer(keys=("sesame",)) as server:
        code, said, result = await run(
            tmp_path, "--host", server.url, "--fishlive-warmup", "0", key="wrong"
        )

    assert code == 1
    assert result.cells[0].failures == {"AuthenticationError": 1}
    assert "every utterance would fail: AuthenticationError (status 401" in (result.partial or "")
    assert re.search(r"AuthenticationError \(status 401", said)


async def test_a_dead_address_ends_the_run(tmp_path: Path, unused_port: int) -> None:
    """Five failures and no success are enough; they stand in the result by their class."""
    host = f"http://127.0.0.1:{unused_port}"
    code, _, result = await run(tmp_path, "--host", host, "--fishlive-warmup", "0")

    assert (code, result.cells[0].failures) == (1, {"ConnectError": 5})
    assert "every utterance would fail: ConnectError" in (result.partial or "")


async def test_the_key_comes_from_the_environment_only(tmp_path: Path) -> None:
    """Without FISH_API_KEY nothing is spoken, and the result says why."""
    code, _, result = await run(tmp_path, "--host", "http://127.0.0.1:9", key=None)

    assert (code, result.cells) == (1, ())
    assert "FISH_API_KEY" in (result.partial or "")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--fishlive-workload", "nowhere.txt", "cannot read nowhere.txt"),
        ("--fishlive-model", "s3", "model s3 is unknown"),
        ("--fishlive-json", "no/such/folder.json", "cannot write no/such/folder.json"),
        ("--fishlive-json", str(EXAMPLE), "exists: choose another name, or use --fishlive-force"),
        ("--host", "http://192.0.2.1", "would show the key to the network"),
    ],
)
async def test_options_that_cannot_be_end_it_at_once(
    tmp_path: Path, option: str, value: str, why: str
) -> None:
    """Exit code 2 and one sentence, before anything is sent."""
    async with locust(tmp_path, "--headless", option, value) as single:
        assert await single.ended() == 2

    assert why in single.said
    assert "Traceback" not in single.said


async def test_the_web_page_runs_tests_but_does_not_say_where_the_key_goes(
    tmp_path: Path, unused_port: int
) -> None:
    """It starts a test and shows its rows; another host or file is refused; no key is in it."""
    page = f"http://127.0.0.1:{unused_port}"
    options = ("--web-host", "127.0.0.1", "--web-port", str(unused_port))
    users = {"user_count": "2", "spawn_rate": "2", "fishlive_utterances": "3"}
    async with (
        LocalServer(keys=("sesame",)) as server,
        locust(
            tmp_path, *options, "--host", server.url, "--fishlive-json", "all.json", key="sesame"
        ) as single,
        aiohttp.ClientSession(page) as browser,
    ):
        await single.wait_for("Starting web interface")
        form = await fetched(browser)
        refused = [
            await posted(browser, users | other)
            for other in ({"host": "https://example.org"}, {"fishlive_json": "x.json"})
        ]
        began = await posted(browser, users | {"host": server.url})
        stats = await stopped(browser)
        single.process.send_signal(signal.SIGINT)
        code = await single.ended()

    assert "fishlive_pacing" in form
    assert not re.search("sesame|api_key|fishlive_json|fishlive_workload", form)
    assert [answer["message"] for answer in refused] == [
        "only the command line sets host",
        "only the command line sets fishlive_json",
    ]
    assert began["success"] is True
    rows = {row["name"]: (row["num_requests"], row["num_failures"]) for row in stats["stats"]}
    assert rows["utterance"] == rows["latency"] == rows["Aggregated"] == (6, 0)
    assert code == 0, single.said
    assert read_result(tmp_path / "all.json").cells[0].finished == 6


async def fetched(browser: aiohttp.ClientSession) -> str:
    """Return the page, as soon as there is one."""
    while True:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with browser.get("/") as answer:
                return await answer.text()
        await asyncio.sleep(0.05)


async def posted(browser: aiohttp.ClientSession, form: dict[str, str]) -> dict[str, object]:
    """Return what the page answers to its form."""
    async with browser.post("/swarm", data=form) as answer:
        found: dict[str, object] = json.loads(await answer.text())
        return found


async def stopped(browser: aiohttp.ClientSession) -> dict[str, list[dict[str, object]]]:
    """Return the page's statistics, as soon as the test has stopped."""
    while True:
        async with browser.get("/stats/requests") as answer:
            found = json.loads(await answer.text())
        if found["state"] == "stopped":
            return dict(found)
        await asyncio.sleep(0.05)

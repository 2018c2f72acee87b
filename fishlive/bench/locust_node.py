"""What a process of Locust does for its users: a worker, a master, or both in one.

A worker has a process that speaks, and tells the master what is new, with Locust's reports; the
master adds up, stops the test once every user has said everything, and writes the result. Before
a test ends the master asks every worker for the rest, and waits for it: Locust itself waits half a
second, and what comes later is lost.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

import gevent  # type: ignore[import-untyped]
from flask import Response, jsonify, request
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from fishlive.bench.files import write_result
from fishlive.bench.greenlets import PROGRAM, Mouth, NotSpoken
from fishlive.bench.honesty import environment as this_machine
from fishlive.bench.locust_rows import described, is_hopeless, rows, summary
from fishlive.bench.records import Combination, Record, Result
from fishlive.bench.runner import MOST_FIRST_FAILURES
from fishlive.bench.swarm import Pool, Report, Tally
from fishlive.bench.swarm_options import PINNED, Settings, base_url, check_writable
from fishlive.bench.workload import Prompt
from fishlive.errors import ConfigError

PATIENCE_S: Final = 30.0
"""How long the master waits for what workers have still to tell, in seconds, besides the time that
users have to stop: ending their sessions takes less than ten."""

LOOK_S: Final = 0.05
"""How often it looks whether they have, in seconds."""

USERS: Final = 1 << 20
"""Most users of a worker, so that no two have the same number: Locust begins to fail at some
thousand."""

REPORT: Final = "fishlive-report"
"""Name of the message with which a worker tells what is new, and of its part in Locust's own."""

FINISH: Final = "fishlive-finish"
"""Name of the message that asks a worker to stop its users, and for the rest."""

LOCAL: Final = "local"
"""Name of the only worker, where it is the master as well."""

_COMMAND_ONLY: Final = "start it with the command `locust`, which reads the options"

_LOG: Final = logging.getLogger(__name__)
_NODES: Final[WeakKeyDictionary[Environment, Node]] = WeakKeyDictionary()


def node_of(environment: Environment) -> Node:
    """Return this process's part. Raises ConfigError if Locust was not started by its command."""
    try:
        return _NODES[environment]
    except KeyError as error:
        raise ConfigError(_COMMAND_ONLY) from error


class Node:
    """One process of a load test.

    Args:
        environment: Locust's.
        speakers: The class of users that speak.

    Raises:
        ConfigError: An option that cannot be.
    """

    def __init__(self, environment: Environment, speakers: Any) -> None:
        self._environment = environment
        self._speakers = speakers
        if environment.parsed_options is None:
            raise ConfigError(_COMMAND_ONLY)
        self._options: Any = environment.parsed_options
        self._runner: Any = environment.runner
        self._numbers = itertools.count()
        self._leads = not isinstance(self._runner, WorkerRunner)
        self._works = not isinstance(self._runner, MasterRunner)
        self._mouth: Mouth | None = None
        self._written = True
        if self._leads:
            own = (kind.host for kind in environment.user_classes if kind.host)
            environment.host = self._options.host = base_url(environment.host or next(own, None))
        file = self._options.fishlive_json
        force = self._options.fishlive_force
        self._file = None
        if file is not None and self._leads:
            self._file = check_writable(file, force=force)
        self._pinned = {name: getattr(self._options, name) for name in PINNED}
        self._begin()
        self._listen()
        if environment.web_ui is not None:
            self._guard(environment.web_ui)

    @classmethod
    def begin(cls, environment: Environment, speakers: Any) -> None:
        """Make a node of this process; end it with exit code 2 for options that cannot be."""
        try:
            _NODES[environment] = cls(environment, speakers)
        except ConfigError as error:
            _LOG.error("%s", _told(error))
            sys.exit(2)

    def _listen(self) -> None:
        listen: Any = self._environment.events
        listen.test_start.add_listener(self._on_start)
        listen.test_stop.add_listener(self._on_stop)
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message(FINISH, self._on_finish)
            listen.report_to_master.add_listener(self._on_report_to_master)
            listen.quitting.add_listener(self._on_finish)
            return
        listen.reset_stats.add_listener(self._on_reset)
        listen.quit.add_listener(self._on_quit)
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message(REPORT, self._on_message)
            listen.worker_report.add_listener(self._on_worker_report)
            listen.test_stopping.add_listener(self._on_stopping)

    def _begin(self) -> None:
        """Forget the last test, and read the options: the web page may have changed them."""
        self._pool = Pool()
        self.settings: Settings = Settings.of(self._options)
        self._tally = Tally(keep_records=self.settings.records)
        self._successes = self._failures = 0
        self._refused: str | None = None
        self._pacing_s = dict(self._paces())

    def _paces(self) -> Iterator[tuple[Combination, float]]:
        kinds: list[Any] = self._environment.user_classes
        for kind in kinds:
            if issubclass(kind, self._speakers):
                yield self.settings.combination(kind.options), kind.pace_s(self.settings)

    # What a worker does

    def next_user(self) -> int:
        """Return a number that no other user of any worker has."""
        return int(self._runner.worker_index) * USERS + next(self._numbers)

    def speak(
        self,
        user: Any,
        number: int,
        combination: Combination,
        prompt: Prompt,
        *,
        warmup: bool,
        due_s: float | None,
    ) -> Record | None:
        """Have an utterance spoken, and count it.

        Raises:
            NotSpoken: There is nobody to speak.
            StopUser: The test is over.
        """
        if self._refused is not None:
            raise NotSpoken(self._refused)
        if self._mouth is None:
            raise StopUser
        self._tally.speaks(combination, number)

        def told(record: Record) -> None:
            self._tally.add(combination, record)
            self._successes += record.ending == "finished"
            self._failures += record.ending == "failed"
            self._show(type(user).__name__, record)

        return self._mouth.speak(combination, prompt, told, warmup=warmup, due_s=due_s)

    def hopeless(self, record: Record) -> str | None:
        """Return why every further utterance would fail as this one did; None if it may not."""
        never = not self._successes and self._failures >= MOST_FIRST_FAILURES
        if record.ending == "failed" and (never or is_hopeless(record)):
            return f"every utterance would fail: {described(record)}"
        return None

    def rests(self, why: str | None) -> None:
        """Count a user that has said everything, or cannot say more, and why."""
        if why is not None:
            _LOG.error("%s", why)
            self._tally.problem(why)
        self._tally.end()
        if self._mouth is None or self._mouth.idle:
            self._tell()

    def _show(self, kind: str, record: Record) -> None:
        if record.warmup and record.ending == "failed":
            _LOG.warning("while warming up: %s", described(record))
        events: Any = self._environment.events
        try:
            for index, row in enumerate(rows(kind, record)):
                if not index:
                    events.request.fire(**row)
                    continue
                # Past the event, which would count it as a request more in "Aggregated".
                entry = self._environment.stats.get(row["name"], row["request_type"])
                entry.log(row["response_time"], 0)
        except Exception:  # noqa: BLE001  # of somebody else's listener
            _LOG.exception("a listener of Locust's request event failed")

    def _open(self) -> None:
        settings = {
            "base_url": self._environment.host,
            "seed": self.settings.seed,
            "timeout_s": self.settings.timeout_s,
            "prebuffers_s": self.settings.prebuffers_s,
        }
        mouth = self._mouth = Mouth(settings)
        mouth.wait()  # meanwhile the test may be stopped, which closes it
        self._tally.environment, self._tally.overhead = mouth.environment, mouth.overhead

    def _close(self) -> None:
        mouth, self._mouth = self._mouth, None
        if mouth is not None:
            mouth.close()
            self._tally.client = mouth.client

    def _tell(self, *, final: bool = False) -> None:
        """Tell the master what is new."""
        report = self._tally.take(final=final)
        if report is None:
            return
        if self._leads:
            self._add(LOCAL, report)
        else:
            self._runner.send_message(REPORT, report.encode())

    def _on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        report = self._tally.take()
        if report is not None:
            data[REPORT] = report.encode()

    def _on_finish(self, **_: Any) -> None:
        self._runner.stop()
        self._tell(final=True)

    # What both do

    def _on_start(self, **_: Any) -> None:
        self._close()
        try:
            self._begin()
        except ConfigError as error:
            _LOG.error("%s", _told(error))
            self._refused, self._environment.process_exit_code = _told(error), 1
            return
        self._written = False
        if self._works:
            self._open()

    def _on_stop(self, **_: Any) -> None:
        self._close()
        if self._leads:
            if self._works:
                self._tell(final=True)
            self._write()

    # What a master does

    def _guard(self, page: Any) -> None:
        """Have the web page refuse to send the key elsewhere, and to name files."""

        def refuse() -> Response | None:
            if request.path.endswith("/swarm"):
                for name, value in self._pinned.items():
                    if request.form.get(name, value) != value:
                        why = f"only the command line sets {name}"
                        return jsonify(
                            {"success": False, "message": why, "host": self._pinned["host"]}
                        )
            return None

        page.app.before_request(refuse)

    def _on_message(self, msg: Any, **_: Any) -> None:
        self._decode(msg.node_id, msg.data)

    def _on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if REPORT in data:
            self._decode(client_id, data[REPORT])

    def _decode(self, worker: str, text: object) -> None:
        try:
            self._add(worker, Report.decode(text))
        except ConfigError as error:
            _LOG.error("%s", _told(error))
            self._pool.note(_told(error))

    def _add(self, worker: str, report: Report) -> None:
        before = self._pool.ended
        self._pool.add(worker, report)
        if before < self._users() <= self._pool.ended:
            gevent.spawn(self._finish)  # this greenlet may be one of those that stopping ends

    def _users(self) -> int:
        return max(1, int(self._runner.target_user_count))

    def _finish(self) -> None:
        _LOG.info("every user has said everything")
        if self._options.headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _on_stopping(self, **_: Any) -> None:
        """Wait until every worker has told everything."""
        self._runner.send_message(FINISH)
        stop_s = float(self._environment.stop_timeout or 0)
        with gevent.Timeout(PATIENCE_S + stop_s, exception=False):
            while any(not self._pool.is_final(worker) for worker in self._present()):
                gevent.sleep(LOOK_S)

    def _present(self) -> list[str]:
        clients = self._runner.clients
        gone = {client.id for client in clients.missing}
        return [client.id for client in clients.all if client.id not in gone]

    def _on_reset(self, **_: Any) -> None:
        self._pool.forget()

    def _on_quit(self, **_: Any) -> None:
        self._write()

    def _write(self) -> None:
        if self._written:
            return
        self._written = True
        result = self._result()
        for cell in result.cells:
            _LOG.info("%s", summary(cell))
        if result.partial:
            _LOG.warning("partial: %s", result.partial)
            self._environment.process_exit_code = 1
        if self._file is not None:
            try:
                write_result(result, self._file)
                _LOG.info("the result is in %s", self._file)
            except ConfigError as error:
                _LOG.error("%s", _told(error))
                self._environment.process_exit_code = 1

    def _result(self) -> Result:
        users, run_time = self._users(), self._options.run_time
        why = []
        if self.settings.utterances and self._pool.ended < users:
            why.append(f"stopped when {self._pool.ended} of {users} users had said everything")
        if not self._pool.spoken:
            why.append("nothing was spoken")
        if self._pool.unfinished:
            why.append(f"lost {self._pool.unfinished} of the workers, with what they had not told")
        result = self._pool.result(
            self.settings.config(
                target=str(self._environment.host),
                users=users,
                time_s=float(run_time) if isinstance(run_time, (int, float)) else None,
            ),
            this_machine(sys.argv[1:], PROGRAM),
            pacing_s=self._pacing_s,
            partial="; ".join(why) or None,
        )
        return replace(result, notes=(*result.notes, f"the master's command: {_command()}"))


def _command() -> str:
    return " ".join([PROGRAM, *sys.argv[1:]])


def _told(error: ConfigError) -> str:
    where = f"{error.argument}: " if error.argument else ""
    return f"fishlive: {where}{error}"

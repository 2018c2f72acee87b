"""Utterances for somebody whose own process is no place for them.

``python -m fishlive.bench.apart SETTINGS`` speaks what lines of JSON on its standard input ask
for, and answers with a line for each utterance that is over. It ends when its input does: with its
parent, whatever ended that. What is under way then is cancelled, and told.

In: ``{"speak": number, "combination": {…}, "prompt": {…}, "warmup": false, "due_s": null}`` and
``{"cancel": number}``. Out: ``{"ready": environment, "overhead": {…}}`` (what the tool itself adds,
measured before anything else) or ``{"refused": why}`` first, then
``{"over": number, "record": {…}}`` (or ``"bug"``, the class of an error that is ours), and
``{"client": {…}}`` last. Times are of the system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import sys
import traceback
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fishlive.bench.honesty import Watch, environment, overhead
from fishlive.bench.lanes import Service
from fishlive.bench.probe import Order
from fishlive.bench.records import Combination, Record
from fishlive.bench.speakers import Speaker, Terms, speaker
from fishlive.bench.streams import pace, timed
from fishlive.bench.workload import Prompt
from fishlive.errors import FishLiveError


class Speaking:
    """Speaks orders until there are no more. A context manager.

    Args:
        service: Where to.
        terms: What holds for every utterance.
        seed: Of the cuts between tokens.
    """

    def __init__(self, service: Service, terms: Terms, seed: int) -> None:
        self._service = service
        self._terms = terms
        self._seed = seed
        self._zero_s = asyncio.get_running_loop().time()
        self._voices: dict[Combination, Speaker] = {}
        self._begun: Counter[Combination] = Counter()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Speaking:
        return self

    async def __aexit__(self, *exception: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    async def obey(self, line: Mapping[str, Any]) -> None:
        """Begin an utterance, or cancel one."""
        if "cancel" in line:
            task = self._tasks.get(line["cancel"])
            if task is not None:
                task.cancel()
            return
        number, combination = line["speak"], Combination(**line["combination"])
        voice = await self._voice(combination)
        order = self._order(combination, line)
        task = asyncio.create_task(self._speak(number, voice, order))
        self._tasks[number] = task
        task.add_done_callback(lambda _task: self._tasks.pop(number))

    async def _voice(self, combination: Combination) -> Speaker:
        found = self._voices.get(combination)
        if found is None:
            found = speaker(self._service, combination, self._terms)
            await self._stack.enter_async_context(found)
            self._voices[combination] = found
        return found

    def _order(self, combination: Combination, line: Mapping[str, Any]) -> Order:
        given = line["prompt"]
        tokens = tuple((text, at_s) for text, at_s in given["tokens"])
        prompt = Prompt(given["id"], given["text"], given["language"], tokens)
        how = pace(combination.stream)
        index, self._begun[combination] = self._begun[combination], self._begun[combination] + 1
        pieces = timed(prompt, how, self._seed)
        due_s = line["due_s"]
        return Order(0, index, line["warmup"], prompt, how, pieces, self._zero_s, due_s)

    async def _speak(self, number: int, voice: Speaker, order: Order) -> None:
        over: dict[str, Any] = {"over": number}

        async def gate() -> None:
            if order.intended_s is not None:
                wait_s = order.intended_s - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0.0, wait_s))

        def done(record: Record) -> None:
            over["record"] = dataclasses.asdict(record)

        try:
            await voice.speak(order, gate, done)
        except Exception as error:  # noqa: BLE001  # a bug, which is not the service's failure
            traceback.print_exc()
            over["bug"] = type(error).__name__
        finally:
            tell(over)


def tell(line: Mapping[str, Any]) -> None:
    """Answer. Waits while the parent does not read: the event loop's lag shows that."""
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()


async def serve(settings: Mapping[str, Any]) -> None:
    """Speak what standard input asks for, until that ends."""
    service = Service(base_url=settings["base_url"])
    try:
        service.session()
    except FishLiveError as error:
        tell({"refused": str(error)})
        return
    loop = asyncio.get_running_loop()
    terms = Terms(settings["prebuffers_s"], settings["timeout_s"])
    added = dataclasses.asdict(await overhead())
    async with Watch() as watch:
        tell({"ready": dataclasses.asdict(environment(())), "overhead": added})
        async with Speaking(service, terms, settings["seed"]) as speaking:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                await speaking.obey(json.loads(line))
        tell({"client": dataclasses.asdict(watch.client())})


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))

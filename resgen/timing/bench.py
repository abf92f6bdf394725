"""Plans -> a report: set up case by case, what does not fit left out, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from resgen.cost.roofline import Peaks
from resgen.plan import Plan
from resgen.timing.cases import MODES, Case, Contender, Step, cases, contenders, module_of, step_of
from resgen.timing.environment import environment
from resgen.timing.memory import foreseen, give_back, is_lack_of_memory, peak_above
from resgen.timing.race import Turns, calls, race, timed
from resgen.timing.statistics import Estimate, estimate, percentile, ratio
from resgen.train.device.engine import Engine
from resgen.train.device.machine import free_memory
from resgen.words import memory

WARM_UP = 3
"""Calls before the first that counts: torch compiles, plans and asks for memory in them."""


@dataclass(frozen=True)
class Asked:
    """What is to be timed, and how often."""

    modes: Sequence[str]
    batches: Sequence[int]
    precisions: Sequence[str]
    rounds: int = 20
    seed: int = 0


@dataclass
class Result:
    """What was found of a case. failed: why it was not timed, in words.

    peak: the bytes alive at the peak of a step, where the device counts them.
    """

    case: Case
    turns: Turns | None = None
    peak: int | None = None
    failed: str = ""

    @property
    def by_round(self) -> dict[int, float]:
        """The seconds of a call in each round: of several timed calls their median."""
        found = self.turns.seconds if self.turns else {}
        return {number: percentile(seconds, 0.5) for number, seconds in found.items()}

    @property
    def seconds(self) -> Estimate | None:
        """Of a call; None where no round was timed."""
        found = self.by_round
        return estimate(list(found.values())) if found else None

    @property
    def images_per_second(self) -> Estimate | None:
        """batch / seconds."""
        return self.seconds.over(self.case.batch) if self.seconds else None

    @property
    def slow(self) -> float | None:
        """The 95th percentile of all calls; of calls that were timed by themselves."""
        if not self.turns or not self.turns.single or not self.turns.seconds:
            return None
        return percentile([each for row in self.turns.seconds.values() for each in row], 0.95)


class Report(NamedTuple):
    """All that was found, and on what. rounds: those that ended, of those asked for."""

    asked: Asked
    environment: dict[str, Any]
    peaks: Peaks | None
    contenders: list[Contender]
    results: list[Result]
    rounds: int
    stopped: bool

    def first(self, result: Result) -> Result:
        """The first network's result at the same mode, batch and precision."""
        same = (each for each in self.results if each.case[1:] == result.case[1:])
        return next(same)

    def ratio(self, result: Result) -> Estimate | None:
        """How many times as fast as the first network; None for that one itself."""
        first = self.first(result)
        return None if first is result else ratio(result.by_round, first.by_round)

    def share(self, result: Result) -> float | None:
        """FLOPs a second over the device's peak in the precision."""
        peak = self.peaks.flops.get(result.case.precision) if self.peaks else None
        if not peak or result.seconds is None:
            return None
        return result.case.flops / result.seconds.median / peak


def bench(
    plans: Sequence[Plan],
    asked: Asked,
    engine: Engine,
    peaks: Callable[[], Peaks],
    *,
    say: Callable[[str], None] = lambda _: None,
    done: Callable[[int], None] = lambda _: None,
) -> Report:
    """Times them. Ctrl-C ends it, and what was found until then is reported."""
    found = contenders(plans)
    results = [Result(case) for case in cases(found, asked.modes, asked.batches, asked.precisions)]
    ended, stopped, ceiling = 0, False, None

    def round_ended(number: int) -> None:
        nonlocal ended
        ended = number
        done(number)

    try:
        ceiling = peaks()
        _allow_recompiling()
        _set_up(results, engine, say)
        ready = {number: each.turns for number, each in enumerate(results) if each.turns}
        race(ready, rounds=asked.rounds, seed=asked.seed, wait=engine.synchronize, done=round_ended)
    except KeyboardInterrupt:
        stopped = True
    for result in results:
        if not result.failed and not result.by_round:
            result.failed = "stopped before its turn" if stopped else "not timed"
    return Report(asked, environment(engine), ceiling, found, results, ended, stopped)


def _set_up(results: Sequence[Result], engine: Engine, say: Callable[[str], None]) -> None:
    """Brings every case onto the device, network by network, and measures its memory."""
    for label in dict.fromkeys(result.case.contender.label for result in results):
        module = None
        for result in results:
            if result.case.contender.label != label:
                continue
            result.failed = _too_large(result.case, engine)
            if result.failed:
                continue
            say(f"warming up: {result.case}")
            try:
                if module is None:
                    module = module_of(result.case.contender.plan, engine)
                _warm_up(result, step_of(result.case, module, engine), engine)
            except (RuntimeError, MemoryError, ValueError) as error:
                result.failed = _reason(error)
            if result.failed:
                if module is not None:
                    module.zero_grad(set_to_none=True)
                give_back(engine)


def _too_large(case: Case, engine: Engine) -> str:
    """Where the system would grant memory and then end the process, what is foreseen decides."""
    free = None if engine.device.type == "cuda" else free_memory(engine.device)
    if free is None:
        return ""
    trains = MODES[case.mode].trains
    need = foreseen(case.contender.plan, case.batch, case.precision, trains=trains)
    if need <= free:
        return ""
    return f"does not fit into memory: about {memory(need)} needed, {memory(free)} free"


def _warm_up(result: Result, step: Step, engine: Engine) -> None:
    mode = MODES[result.case.mode]
    step.ready()
    seconds = [timed(step.call, engine.synchronize) for _ in range(WARM_UP)]
    above = peak_above(step.call, engine)
    result.peak = None if above is None else step.standing + above
    result.turns = Turns(step, calls(min(seconds), single=mode.single), mode.single)


def _reason(error: Exception) -> str:
    """Why a case is not timed, in words; raises what is no matter of its size."""
    if "more than 1 value per channel" in str(error):
        return "a batch norm sees one value a channel: needs a larger batch"
    if not is_lack_of_memory(error):
        raise error
    return "does not fit into memory"


def _allow_recompiling() -> None:
    """A graph for each mode, batch and precision of a network, however many there are."""
    from torch._dynamo import config

    for limit in ("recompile_limit", "cache_size_limit"):  # its name, and that before torch 2.7
        if hasattr(config, limit):
            setattr(config, limit, max(getattr(config, limit), 256))
            return

"""A training step on the CPU with the memory it frees kept, against given back to the system.

    python bench/allocator.py --rounds 6

What an allocator does depends on all that its process did before, so each measurement is a
process of its own, alone, and the two take turns. Needs glibc.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

STEPS = 20


def steps(title: str, freed: str) -> dict[str, float]:
    """resgen's own step on a case of bench/train.py: seconds and page faults, and peak memory."""
    import train

    from resgen.train.device import engine

    if freed == "kept":
        engine.keep_freed_memory()
    motor = engine.choose(device="cpu")
    (case,) = (case for case in train.cases(motor.device) if case.title == title)
    step, _, _ = train.resgens(case, motor)
    seconds, faults = [], []
    for _ in range(STEPS):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step()
        seconds.append(time.perf_counter() - start)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return {
        "seconds": statistics.median(seconds[STEPS // 4 :]),
        "faults": statistics.median(faults[STEPS // 4 :]),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--one", nargs=2, metavar=("CASE", "FREED"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(steps(*asked.one)))
        return
    for title in ("ResNet-18 at 224", "ResNet-20 at 32"):
        found: dict[str, list[dict[str, float]]] = {"kept": [], "returned": []}
        for number in range(asked.rounds):
            for freed in sorted(found, reverse=number % 2 == 1):
                command = [sys.executable, __file__, "--one", title, freed]
                found[freed].append(json.loads(subprocess.check_output(command)))
        print(title)
        for freed, measured in found.items():
            middle = {key: statistics.median(m[key] for m in measured) for key in measured[0]}
            print(
                f"  {freed:10s} {1000 * middle['seconds']:6.0f} ms a step, "
                f"{middle['faults']:8,.0f} page faults, peak {middle['peak'] / 2**20:,.0f} MiB"
            )
        ratios = [
            kept["seconds"] / returned["seconds"]
            for kept, returned in zip(*found.values(), strict=True)
        ]
        print(
            f"  kept takes {statistics.median(ratios):.3f} of the time "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()

"""python bench/against_pytorchcv.py: pytorchcv's residual networks, said in a few keys a family.

Needs `pip install pytorchcv`. Compares trainable parameters and multiply-adds (convolutions and
linear layers without biases) of each network of a family with those of its spec, both to the
integer: theirs by torch's counter over their module on the meta device, ours in closed form.
`--outputs N` also copies the weights of N networks a family, those of fewest MACs, in the order
of calls, and compares what is put out: the same to the bit, or in double precision. `--golden
FILE` writes their figures, which tests/cost/test_pytorchcv.py holds. Exits 1 where a network that
should agree does not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch
from pytorchcv.model_provider import _models
from pytorchcv_families import PLAIN, Family, spec_of
from pytorchcv_others import OTHERS
from pytorchcv_outputs import difference
from pytorchcv_sizes import Keys
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resgen import cost, load_spec
from resgen.errors import UserError

# What does not agree in cost, by network, and why.
REST: dict[str, str] = {}

# Where outputs agree up to rounding only, and so in double precision: linear layers there are 1x1
# convolutions here; a batch norm of some of the channels takes them as they lie in memory, theirs
# a copy of them.
ROUNDED = {"bamresnet", "cbamresnet", "fastseresnet", "ibndensenet", "ibnresnet", "ibnresnext"}
ROUNDING = 1e-6  # through the 101 layers of a CBAM network it grows to 2e-8

# Where they do not agree, and why.
OTHERWISE = {
    "dla": "roots concatenate the last branch first; those of dla102 and dla169 also add it",
    "shakeshakeresnet_cifar": "a projection moves the image down and right, `shift` up and left",
}


class Compared(NamedTuple):
    """A network's figures here and there, and why there are none."""

    name: str
    params: tuple[int, int]
    macs: tuple[int, int]
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether both figures agree to the integer."""
        return not self.error and self.params[0] == self.params[1] and self.macs[0] == self.macs[1]

    def why(self) -> str:
        """What differs, in a line."""
        if self.error:
            return self.error
        pairs = (("params", self.params), ("MACs", self.macs))
        return ", ".join(f"{what} {a:,} for {b:,}" for what, (a, b) in pairs if a != b)


def networks() -> dict[str, list[str]]:
    """The names of each family, as the files of pytorchcv's models hold them."""
    found = defaultdict(list)
    for name, make in _models.items():
        found[make.__module__.rpartition(".")[2]].append(name)
    return found


def theirs(name: str) -> tuple[int, int]:
    """Parameters and MACs of pytorchcv's network, for one image of its size."""
    with torch.device("meta"):
        module: nn.Module = _models[name]().eval()
        image = torch.empty(1, 3, *module.in_size)
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return params, counter.get_total_flops() // 2


def compared(family: Family, name: str) -> Compared:
    """Both sides' figures of a network; what is wrong with its spec."""
    params, macs = theirs(name)
    try:
        books = cost(load_spec(spec_of(family, name)))
    except UserError as error:
        return Compared(name, (0, params), (0, macs), str(error))
    return Compared(name, (books.params, params), (books.macs, macs))


def outputs(word: str, family: Family, names: list[str]) -> list[str]:
    """Prints how outputs differ; returns networks whose do and should not."""
    found = []
    dtype = torch.float64 if word in ROUNDED else torch.float32
    for name in names:
        try:
            gap = difference(load_spec(spec_of(family, name)), _models[name]().eval(), dtype)
        except (UserError, ValueError) as error:
            found.append(f"{name}: {error}")
            continue
        said = f"differ by {gap:.1e} of the largest" if gap else "are the same to the bit"
        why = f": {OTHERWISE[word]}" if word in OTHERWISE else ""
        print(f"    {name:<36}outputs {said}{why}", flush=True)
        if gap > (ROUNDING if word in ROUNDED else 0) and not why:
            found.append(f"{name}: outputs {said}")
    return found


def compare(title: str, families: dict[str, Family], count: int) -> tuple[list[Keys], list[str]]:
    """Prints a table of families; returns their figures, and what should agree and does not."""
    print(f"{title:<28}networks  params    MACs    both")
    names, golden, wrong, totals = networks(), [], [], [0, 0, 0, 0]
    for word, family in families.items():
        rows = [compared(family, name) for name in names[word]]
        sums = [
            len(rows),
            sum(r.params[0] == r.params[1] for r in rows),
            sum(r.macs[0] == r.macs[1] for r in rows),
            sum(r.same for r in rows),
        ]
        golden += [
            {"family": word, "name": r.name, "params": r.params[1], "macs": r.macs[1]} for r in rows
        ]
        totals = [a + b for a, b in zip(totals, sums, strict=True)]
        print(f"{word:<28}{sums[0]:>8}{sums[1]:>8}{sums[2]:>8}{sums[3]:>8}", flush=True)
        for row in rows:
            if not row.same:
                print(f"    {row.name}: {REST.get(row.name, row.why())}")
                if row.name not in REST:
                    wrong.append(f"{row.name}: {row.why()}")
        quick = sorted((r for r in rows if r.same), key=lambda row: row.macs)[:count]
        wrong += outputs(word, family, [row.name for row in quick])
    print(f"{'all':<28}{totals[0]:>8}{totals[1]:>8}{totals[2]:>8}{totals[3]:>8}\n")
    return golden, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--outputs", type=int, default=0, metavar="N", help="networks a family")
    parser.add_argument(
        "--family", nargs="*", choices=[*PLAIN, *OTHERS], metavar="NAME", help="these families only"
    )
    parser.add_argument("--golden", type=Path, metavar="FILE", help="write their figures here")
    options = parser.parse_args()
    start = time.perf_counter()
    golden: list[Keys] = []
    wrong: list[str] = []
    for title, families in (("plain residual families", PLAIN), ("others", OTHERS)):
        chosen = {k: v for k, v in families.items() if not options.family or k in options.family}
        if chosen:
            figures, broken = compare(title, chosen, options.outputs)
            golden, wrong = golden + figures, wrong + broken
    if options.golden:
        lines = ",\n".join(json.dumps(row) for row in golden)
        options.golden.write_text(f"[\n{lines}\n]\n")
    print(f"{time.perf_counter() - start:.0f} s")
    if wrong:
        print("\n".join(["", "should agree and do not:", *wrong]), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""pytorchcv's residual networks cost what their specs of a few keys do, to the integer.

The figures are those of `python bench/against_pytorchcv.py --golden`, by torch's counter over
pytorchcv 0.0.74; the specs are that script's.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from resgen import cost, load_spec

HERE = Path(__file__).parents[1]
sys.path.append(str(HERE.parent / "bench"))
from pytorchcv_families import PLAIN, spec_of  # noqa: E402
from pytorchcv_others import OTHERS  # noqa: E402

FAMILIES = PLAIN | OTHERS
NETWORKS: dict[str, list[dict[str, Any]]] = defaultdict(list)
for row in json.loads((HERE / "golden" / "pytorchcv.json").read_text()):
    NETWORKS[row["family"]].append(row)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_network_costs_what_pytorchcvs_does(family: str) -> None:
    found = {}
    for row in NETWORKS[family]:
        books = cost(load_spec(spec_of(FAMILIES[family], row["name"])))
        found[row["name"]] = (books.params, books.macs)
    assert found == {row["name"]: (row["params"], row["macs"]) for row in NETWORKS[family]}
    assert found


def test_the_plain_families_are_complete() -> None:
    assert sum(len(NETWORKS[family]) for family in PLAIN) == 295

"""Small networks of every kind of path, of spelled.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from resgen.plan import Plan, plan_of

SPECS = list(yaml.safe_load_all(Path(__file__).with_name("spelled.yaml").read_text()))
NAMES = tuple(data["name"] for data in SPECS)


def _plan(data: dict[str, Any]) -> Plan:
    start = {"input": {"size": 32, "channels": 3}, "classes": 10, "shortcut": "projection"}
    stem = [{"conv": 3, "width": 32}, "norm", "act"]
    return plan_of({**start, "stem": stem, **data})


@cache
def networks() -> dict[str, Plan]:
    """The networks by their names."""
    return {data["name"]: _plan(data) for data in SPECS}

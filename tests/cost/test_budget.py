"""Amounts as people write them."""

from __future__ import annotations

import pytest

from resgen.cost.budget import BYTES, MEMORY, Budget, amount
from resgen.errors import UserError


@pytest.mark.parametrize(
    "text", ["24G", "24GB", "24GiB", "24 GB", "24 GiB", "24g", "24gb", "24gib"]
)
def test_a_devices_memory_is_one_amount_however_it_is_written(text: str) -> None:
    assert amount(text, "--memory", units=MEMORY) == 24 * 2**30
    assert Budget.written(memory=text).memory == 24 * 2**30


def test_a_rates_bytes_are_decimal_unless_they_say_otherwise() -> None:
    assert amount("1.5TB", "--roofline", units=BYTES) == 1_500_000_000_000
    assert amount("1KiB", "--roofline", units=BYTES) == 1024


@pytest.mark.parametrize("text", ["24 gigs", "G", "", "24GiBB"])
def test_other_units_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="must be a number with one of the units B, K, KB, KiB"):
        amount(text, "--memory", units=MEMORY)

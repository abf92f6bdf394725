"""What a trained network is called."""

from __future__ import annotations

from resgen.inference.trained import labels


def test_a_seed_is_called_by_its_network() -> None:
    assert labels(["m/resnet20/seed-0", "m/plain20/seed-1"]) == [
        "resnet20/seed-0",
        "plain20/seed-1",
    ]
    assert labels(["m/resnet20/best.pt", "m/plain20"]) == ["resnet20/best.pt", "plain20"]

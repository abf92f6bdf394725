"""`resgen fit`: the largest network of a shape within a target."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import spec_data
from typer.testing import CliRunner

from resgen import cost, load_spec, resolve
from resgen.cli import app
from resgen.errors import UserError
from resgen.search.fit import fit
from resgen.spec import Spec, shipped
from resgen.spec.text import plain, spec_text


@pytest.mark.parametrize("by", ["width", "depth"])
@pytest.mark.parametrize("name", ["resnet50", "cifar/resnet20", "resnext50_32x4d", "resnet50_gn"])
@pytest.mark.parametrize(("measure", "share"), [("macs", 0.5), ("macs", 3.0), ("params", 2.0)])
def test_the_fit_is_valid_and_not_over_the_target(
    name: str, by: str, measure: str, share: float
) -> None:
    spec = load_spec(name)
    target = int(share * getattr(cost(resolve(spec)), measure))
    found = fit(spec, target, measure, by=by, divisor=8)
    books = cost(resolve(Spec.model_validate(found.data)))
    assert books == found.books
    # Depths go in whole blocks, for all stages together; widths in small steps.
    least = 0.55 if by == "depth" else 0.85
    assert least * target <= getattr(books, measure) <= target


def test_a_step_more_would_be_over() -> None:
    spec = load_spec("resnet50")
    target = 2 * 10**9
    found = fit(spec, target, divisor=8)
    assert found.books.macs <= target
    wider = fit(spec, int(1.1 * target), divisor=8)
    assert wider.multiplier > found.multiplier
    again = fit(spec, found.books.macs, divisor=8)
    assert again.books == found.books


@pytest.mark.parametrize("name", ["resnet50", "cifar/resnet20", "resnet18"])
def test_a_network_fits_its_own_cost(name: str) -> None:
    spec = load_spec(name)
    books = cost(resolve(spec))
    assert fit(spec, books.macs, divisor=8).books == books
    assert fit(spec, books.macs, by="depth").books == books


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec_data(), st.sampled_from(("width", "depth")), st.floats(0.3, 8))
def test_any_network_scales_or_says_why_not(data: dict[str, object], by: str, share: float) -> None:
    try:
        spec = Spec.model_validate(data)
        macs = cost(resolve(spec)).macs
    except (ValidationError, UserError):
        return
    target = int(share * macs) + 1
    try:
        found = fit(spec, target, by=by)
    except UserError as error:
        assert "has at least" in str(error) or "over 256 times" in str(error)
        return
    assert cost(resolve(Spec.model_validate(found.data))).macs <= target


def test_a_target_below_the_smallest_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        fit(load_spec("resnet50"), 1000)
    assert str(caught.value) == (
        "--macs 1,000: scaled in width, resnet50 has at least 15,817,948; raise the target, "
        "or scale in depth"
    )


def test_the_command_writes_a_spec_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "half.yaml"
    result = CliRunner().invoke(app, ["fit", "resnet50", "--macs", "2G", "-o", str(path)])
    assert result.exit_code == 0
    spec = load_spec(path)
    assert spec.name == "resnet50-2G"
    assert [stage.width for stage in spec.stages] == [176, 352, 712, 1424]
    assert cost(resolve(spec)).macs == 1_992_170_128
    assert "stage 1: width 256 -> 176" in result.stderr
    assert "1,992,170,128 MACs" in path.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one target: --macs 2G or --params 25M"),
        (("--macs", "1G", "--params", "1M"), "give one target: --macs 2G or --params 25M"),
        (("--macs", "2G", "--divisor", "0"), "--divisor 0: must be between 1 and 1024"),
        (("--macs", "2G", "-o", "a.txt"), "a.txt: end the file's name in .yaml or .yml"),
    ],
)
def test_bad_options_are_named(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["fit", "resnet50", *words])
    assert str(result.exception) == message


def test_every_shipped_spec_survives_being_written(tmp_path: Path) -> None:
    for name in shipped.names():
        spec = load_spec(name)
        path = tmp_path / "written.yaml"
        path.write_text(spec_text(plain(spec), "a comment"))
        ours, theirs = resolve(load_spec(path)), resolve(spec)
        assert (ours.stem, ours.stages, ours.head) == (theirs.stem, theirs.stages, theirs.head)


@pytest.mark.parametrize("name", ["1e5", "1", "null", "0x10"])
def test_a_fit_named_like_a_number_is_read_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fit.yaml"
    words = ["fit", "digits/resnet20", "--macs", "1M", "--name", name, "-o", str(path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert load_spec(path).name == name

"""What is timed and what is reported of it: on the CPU with networks of a few layers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import validate
from typer.testing import CliRunner, Result

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.cost import cost
from resgen.cost.memory import training_step
from resgen.cost.roofline import Peaks, roofline
from resgen.plan import Plan
from resgen.timing import bench as benches
from resgen.timing import cases as made
from resgen.timing import figure, forms, memory, peaks
from resgen.timing.bench import Asked, Report, bench
from resgen.timing.cases import MODES, Case, cases, contenders, module_of, step_of
from resgen.train.device import engine
from resgen.train.device.engine import Engine

TINY = {
    "name": "tiny", "input": {"channels": 3, "size": 8}, "classes": 4,
    "stem": {"kind": "conv3x3", "width": 4}, "block": "basic", "shortcut": "identity",
    "stages": [{"depth": 1, "width": 4}],
}  # fmt: skip
CPU = Engine(torch.device("cpu"), "fp32", "channels_last", "off")
PEAKS = Peaks("a machine", 1e9, {"fp32": 1e10, "bf16": 2e10})
GPU = pytest.param("cuda", marks=pytest.mark.gpu)


def plan(**keys: Any) -> Plan:
    return resolve(load_spec({**TINY, **keys}))


def run(*plans: Plan, motor: Engine = CPU, **asked: Any) -> Report:
    wanted = {"modes": list(MODES), "batches": [2, 4], "precisions": ["fp32"], "rounds": 6}
    return bench(plans, Asked(**{**wanted, **asked}), motor, lambda: PEAKS)


def motor(device: str) -> Engine:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return engine.choose(device=device, precision="fp32", compile="off")


@pytest.fixture(scope="module")
def report() -> Report:
    return run(plan(), plan(name="wider", stages=[{"depth": 1, "width": 8}]), plan())


# ---- what is timed


def test_cases_are_every_network_in_every_mode_at_every_batch_and_precision() -> None:
    found = cases(contenders([plan(), plan(name="b")]), list(MODES), [2, 8], ["fp32", "bf16"])
    said = [str(case) for case in found]
    assert len(said) == len(set(said)) == 2 * 2 * (1 + 2 + 2)
    assert [case.batch for case in found if case.mode == "latency"] == [1] * 4


def test_a_network_given_twice_is_two_contenders() -> None:
    labels = [each.label for each in contenders([plan(), plan(name="b"), plan(), plan()])]
    assert labels == ["tiny", "b", "tiny #2", "tiny #3"]


def test_operations_are_two_a_mac_and_of_training_those_of_the_way_back_too() -> None:
    (contender,) = contenders([resolve(load_spec("resnet18"))])
    macs, first = cost(contender.plan).macs, 118_013_952
    assert Case(contender, "inference", 4, "fp32").flops == 2 * 4 * macs
    assert Case(contender, "training", 4, "fp32").flops == 2 * 4 * (3 * macs - first)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("mode", MODES)
def test_a_step_leaves_the_weights_and_no_gradients(mode: str, device: str) -> None:
    on = motor(device)
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, on)
    before = {name: each.clone() for name, each in module.named_parameters()}
    step = step_of(Case(contender, mode, 2, "fp32"), module, on)
    step.ready()
    step.call()
    assert module.training == MODES[mode].trains
    for name, each in module.named_parameters():
        assert torch.equal(each, before[name])
        assert each.grad is None


def test_a_training_step_is_forward_backward_and_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, CPU)
    step = step_of(Case(contender, "training", 2, "bf16"), module, CPU)
    seen: list[torch.Tensor] = []
    called: list[str] = []
    module.register_forward_hook(lambda m, given, out: seen.append(out))
    weights = list(module.parameters())
    for each in weights:
        each.register_hook(lambda gradient: called.append("gradient"))
    real = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self: (called.append("update"), real(self))[1]
    )
    step.ready()
    step.call()
    assert seen[0].dtype == torch.bfloat16
    assert seen[0].shape == (2, 4)
    assert called == ["gradient"] * len(weights) + ["update"]


def test_images_have_the_layout_and_inference_no_gradients() -> None:
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, CPU)
    seen: list[torch.Tensor] = []
    module.register_forward_hook(lambda m, given, out: seen.extend((*given, out)))
    step = step_of(Case(contender, "inference", 2, "fp32"), module, CPU)
    step.call()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert seen[1].is_inference()


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_what_stands_is_weights_buffers_momentum_images_and_labels(device: str) -> None:
    on = motor(device)
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, on)
    weights = cost(contender.plan).params * 4
    held = sum(each.numel() * each.element_size() for each in module.buffers())
    step = step_of(Case(contender, "training", 2, "fp32"), module, on)
    assert step.standing == weights + held + 2 * 3 * 64 * 4 + 2 * 8
    step.call()
    assert step.standing == 2 * weights + held + 2 * 3 * 64 * 4 + 2 * 8


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_the_peak_above_a_step_has_what_it_makes(device: str) -> None:
    on = motor(device)
    size = 2**27

    def call() -> None:
        torch.ones(size, dtype=torch.uint8, device=on.device)

    call()
    above = memory.peak_above(call, on)
    if above is None:
        pytest.skip("nobody counts here")
    assert 0.95 * size < above < 1.25 * size
    small = memory.peak_above(lambda: None, on)
    assert small is not None
    assert small < size / 16


@pytest.mark.gpu
def test_the_peak_of_a_training_step_is_near_the_closed_form() -> None:
    on = motor("cuda")
    found = run(resolve(load_spec("cifar/resnet20")), motor=on, modes=["training"], batches=[256])
    (result,) = found.results
    assert result.peak == pytest.approx(
        training_step(result.case.contender.plan, 256).peak, rel=0.3
    )


def test_what_does_not_fit_gets_a_row_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    real = made.step_of

    def step(case: Case, *rest: Any) -> made.Step:
        if case.contender.label == "b" and case.batch == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(case, *rest)

    monkeypatch.setattr(benches, "step_of", step)
    found = run(plan(), plan(name="b"), rounds=1)
    failed = {str(each.case): each.failed for each in found.results if each.failed}
    assert failed == {
        f"b, {mode}, batch 4, fp32": "does not fit into memory"
        for mode in ("inference", "training")
    }
    assert all(each.seconds for each in found.results if not each.failed)
    assert "b: does not fit into memory" in forms.render(found, "table")


def test_what_the_system_would_grant_and_not_have_is_refused_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = memory.foreseen(plan(), 4, "fp32", trains=True)
    monkeypatch.setattr(benches, "free_memory", lambda device: need - 1)
    found = run(plan(), modes=["training"], rounds=1)
    assert [bool(each.failed) for each in found.results] == [False, True]
    assert found.results[1].failed.startswith("does not fit into memory: about")


def test_a_batch_too_small_for_its_norm_gets_a_row() -> None:
    found = run(plan(head=["global-pool", "norm"]), modes=["training"], batches=[1], rounds=1)
    assert [each.failed for each in found.results] == [
        "a batch norm sees one value a channel: needs a larger batch"
    ]


def test_any_other_error_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> made.Step:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(benches, "step_of", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(plan())


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_peaks_are_measured(device: str) -> None:
    found = peaks.measured(motor(device), ["fp32", "bf16"], scale=0.02)
    assert found.device
    assert found.bytes > 0
    assert set(found.flops) == {"fp32", "bf16"}
    assert all(each > 0 for each in found.flops.values())


# ---- what is reported


def test_every_round_is_in_the_estimate(report: Report) -> None:
    assert report.rounds == 6
    assert not report.stopped
    for each in report.results:
        assert sorted(each.by_round) == list(range(6))
        assert each.seconds is not None
        assert each.seconds.low is not None
        assert each.images_per_second is not None
        speed = each.images_per_second.median
        assert speed == pytest.approx(each.case.batch / each.seconds.median)
        share = report.share(each)
        assert share == pytest.approx(each.case.flops / each.seconds.median / 1e10)


def test_ratios_are_to_the_first_network_at_the_same(report: Report) -> None:
    for each in report.results:
        first = report.first(each)
        assert first.case.contender.label == "tiny"
        assert first.case[1:] == each.case[1:]
        assert (report.ratio(each) is None) == (first is each)


def test_latency_has_the_percentile_of_all_calls(report: Report) -> None:
    for each in report.results:
        assert (each.slow is not None) == (each.case.mode == "latency")
        if each.slow is not None:
            assert each.turns is not None
            calls = [seconds for row in each.turns.seconds.values() for seconds in row]
            assert len(calls) == 6 * each.turns.each
            assert sum(seconds <= each.slow for seconds in calls) >= 0.95 * len(calls) - 1


NUMBERS = {"type": ["number", "null"]}
ESTIMATE = {
    "type": ["object", "null"], "additionalProperties": False,
    "required": ["median", "low", "high"],
    "properties": {"median": {"type": "number"}, "low": NUMBERS, "high": NUMBERS},
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["version", "environment", "peaks", "rounds", "seed", "networks", "results"],
    "properties": {
        "version": {"const": 1},
        "environment": {
            "type": "object",
            "required": ["date", "torch", "device", "threads", "layout", "compile", "resgen"],
        },
        "peaks": {
            "type": "object", "required": ["device", "bytes_per_second", "flops_per_second"],
        },
        "networks": {"items": {
            "required": ["label", "name", "input", "params", "macs", "activations"],
        }},
        "results": {"items": {
            "type": "object", "additionalProperties": False,
            "required": ["network", "mode", "batch", "precision", "failed", "rounds"],
            "properties": {
                "network": {"type": "string"}, "mode": {"enum": list(MODES)},
                "batch": {"type": "integer"}, "precision": {"enum": ["fp32", "bf16"]},
                "failed": {"type": ["string", "null"]}, "rounds": {"type": "integer"},
                "calls": {"type": "integer"}, "images_per_second": ESTIMATE, "seconds": ESTIMATE,
                "seconds_95th_percentile": NUMBERS, "to_first": ESTIMATE,
                "flops": {"type": "integer"}, "share_of_peak": NUMBERS,
                "peak_bytes": {"type": ["integer", "null"]},
            },
        }},
    },
}  # fmt: skip


def test_the_json_keeps_to_its_schema(report: Report) -> None:
    data = json.loads(forms.render(report, "json"))
    validate(data, SCHEMA)
    assert [each["label"] for each in data["networks"]] == ["tiny", "wider", "tiny #2"]
    assert data["networks"][0]["macs"] == cost(plan()).macs
    assert data["environment"]["torch"] == torch.__version__


def test_the_json_of_a_bench_is_a_roofline(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(forms.render(report, "json"))
    assert roofline(str(file), "bf16")[:2] == (2e10, 1e9)


def test_the_csv_has_a_row_a_case(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(forms.render(report, "csv"))))
    assert len(rows) == len(report.results)
    for row, each in zip(rows, report.results, strict=True):
        assert row["network"] == each.case.contender.label
        assert float(row["seconds"]) == each.seconds.median  # type: ignore[union-attr]
        assert int(row["params"]) == cost(each.case.contender.plan).params
        assert row["torch"] == torch.__version__


def test_the_table_has_80_columns_and_says_how(report: Report) -> None:
    text = forms.render(report, "table")
    assert max(map(len, text.splitlines())) <= 80
    assert "tiny #2" in text
    assert "in drawn order" in text
    assert text.count("\nlatency, ") == 1
    assert text.count("\ninference, ") == text.count("\ntraining, ") == 2


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot_names_every_network(report: Report, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"speed.{ending}"
    figure.draw(report, file, force=False)
    if ending == "svg":
        text = file.read_text()
        for word in ("tiny", "wider", "training, batch 4, fp32", "images a second"):
            assert word in text


def test_ctrl_c_reports_the_rounds_that_were(monkeypatch: pytest.MonkeyPatch) -> None:
    real = benches.race

    def cut(*given: Any, done: Callable[[int], None], **keys: Any) -> None:
        def ended(number: int) -> None:
            done(number)
            if number == 2:
                raise KeyboardInterrupt

        real(*given, done=ended, **keys)

    monkeypatch.setattr(benches, "race", cut)
    found = run(plan())
    assert found.stopped
    assert found.rounds == 2
    assert all(len(each.by_round) == 2 for each in found.results)
    text = " ".join(forms.render(found, "table").split())
    assert "rounds 2 of 6" in text


def test_ctrl_c_before_the_first_round_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(benches, "_warm_up", cut)
    found = run(plan())
    assert {each.failed for each in found.results} == {"stopped before its turn"}
    assert json.loads(forms.render(found, "json"))["stopped"] is True


# ---- the command


def command(*words: str) -> Result:
    return CliRunner().invoke(app, ["bench", *words])


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(json.dumps(TINY))
    return "tiny.yaml"


ON = ("--device", "cpu", "--precision", "fp32", "--roofline", "50G,5GB", "--batch", "2")


def test_the_command_prints_and_draws(spec: str) -> None:
    words = (*ON, "--rounds", "1", "--format", "json", "--plot", "a.svg", "--with", "classes=7")
    done = command(spec, spec, *words)
    assert done.exit_code == 0, done.exception
    data = json.loads(done.stdout)
    assert [each["with"] for each in data["networks"]] == [["classes=7"]] * 2
    assert data["peaks"] == {
        "device": "a device", "bytes_per_second": 5e9, "flops_per_second": {"fp32": 5e10},
    }  # fmt: skip
    assert [each["mode"] for each in data["results"][::2]] == list(MODES)
    assert Path("a.svg").exists()


def test_without_a_network_it_is_the_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = peaks.measured
    monkeypatch.setattr(peaks, "measured", lambda *given: real(*given, scale=0.02))
    done = command("--device", "cpu", "--format", "json")
    assert done.exit_code == 0, done.exception
    data = json.loads(done.stdout)
    assert set(data["peaks"]["flops_per_second"]) == {"fp32", "bf16"}
    assert data["results"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tiny.yaml", "--mode", "fast"), "--mode fast: fast is none of latency, inference"),
        (("tiny.yaml", "--batch", "0"), "--batch 0: must be whole numbers from 1"),
        (("tiny.yaml", "--batch", "2,"), "--batch nothing: must be whole numbers from 1"),
        (("tiny.yaml", "--batch", "2,2"), "--batch 2,2: 2 stands there twice"),
        (("tiny.yaml", "--precision", "int4"), "--precision int4: int4 is none of auto, fp32"),
        (("tiny.yaml", "--device", "tpu"), "--device tpu: must be one of auto, cuda, mps, cpu"),
        (("tiny.yaml", "--plot", "a.txt"), "a.txt: end the file's name in .png, .svg or .pdf"),
        (("tiny.yaml", "--force"), "--force says nothing without --plot; add it"),
        (("tiny.yaml", "--roofline", "x"), "--roofline x: cannot be read: No such file"),
        (("--batch", "2"), "--batch says nothing without a network; add it, or leave it out"),
        (("no.yaml",), "no.yaml: no such file"),
        (
            ("tiny.yaml", "--plot", "a.svg", "--batch", ",".join(map(str, range(1, 30)))),
            "--plot a.svg: 59 panels, one for each mode, batch and precision, are more than the",
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_meant_is_refused(spec: str, words: tuple[str, ...], sentence: str) -> None:
    done = command(*words)
    assert str(done.exception).startswith(sentence)
    assert getattr(done.exception, "exit_code", None) == 2

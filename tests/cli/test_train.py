"""`resgen train` as typed: options, sentences, exit codes, and what lies on stdout."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from resgen import cost, load_spec, resolve
from resgen.cli import app
from resgen.cost.memory import training_step
from resgen.errors import Diverged, UserError
from resgen.train.run import metrics
from resgen.train.run.folder import Result
from resgen.train.run.loop import Stepper
from resgen.train.run.signals import Stop
from resgen.train.run.trainer import Trainer
from resgen.words import memory as short_memory
from tests.training import typed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "gpu"], "--device gpu: must be one of auto, cuda, mps, cpu"),
        (["--device", "cuda:99"], "--device cuda:99: torch sees "),
        (["--recipe", "digit"], "did you mean digits?"),
        (
            ["--set", "optimizer.momentun=1"],
            "optimizer.momentun: unknown key; did you mean momentum?",
        ),
        (["--set", "optimizer.lr=fast"], "optimizer.lr"),
        (["--set", "batch=2000"], "a batch of 2000 is more than the 1437 training images"),
        (["--data", "folder:nowhere"], "--data folder:nowhere: no such folder"),
        (["--data", "mnist"], "--data mnist: no such data; known are digits"),
        (["--resume", "--force"], "--resume and --force exclude each other; "),
        (["--sync-bn", "--device", "cpu"], "--sync-bn: torch has it on CUDA only"),
        (["--decode", "gpu"], "--decode says nothing without --data folder or --data hf"),
        (
            ["--decode", "gpu", "--data", "folder:.", "--device", "cpu"],
            "--decode gpu: needs a CUDA device (this run is on cpu)",
        ),
    ],
)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(
    command: Callable[..., None], tmp_path: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        command(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_recipe_file_with_a_typo_names_its_place(
    command: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("description: x\nlength: 1 epochs\nbatch: 8\noptimiser: {lr: 0.1}\n")
    with pytest.raises(UserError, match=r"mine\.yaml:4:1: optimiser: unknown key; did you mean"):
        command("--recipe", "mine.yaml")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_an_error(command: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="--device cuda: torch sees 0 CUDA devices here"):
        command("--device", "cuda")


def test_a_file_in_place_of_the_folder(command: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="--out file: is a file; name a folder"):
        command("--out", "file", "--device", "cpu")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unwritable_folder(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(UserError, match="--out run: cannot be written: Permission denied"):
        command("--out", "run", "--device", "cpu")


def test_only_the_table_is_on_stdout(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command("--epochs", "1", "--out", "run", "--device", "cpu")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == [
        "network", "params", "training", "held-out", "best", "best", "test", "time",
    ]  # fmt: skip
    assert lines[1].split() == ["error", "error", "error", "epoch", "error"]
    assert lines[2].startswith("tiny ")
    assert "top-5" not in out + err  # of ten classes
    assert "proof holds in all" in err
    assert err.index("proof holds") < err.index("epoch 1:")


def test_quiet_says_nothing_but_the_table(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command("--epochs", "1", "--out", "run", "--device", "cpu", "--quiet")
    out, err = capsys.readouterr()
    assert out.startswith("network")
    assert err == ""


def test_several_specs_share_one_figure(
    tiny: Callable[..., str], tmp_path: Path, command: Callable[..., None]
) -> None:
    command(tiny("other"), "--epochs", "1", "--out", "both", "--device", "cpu")
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"curves.png", "tiny", "other"}
    with Image.open(tmp_path / "both" / "curves.png") as figure:
        assert min(figure.size) > 400
    assert len(metrics.read(tmp_path / "both" / "other")) == 1


def test_two_specs_of_one_name_are_refused(
    tiny: Callable[..., str], command: Callable[..., None]
) -> None:
    with pytest.raises(UserError, match="two specs are named tiny"):
        command(tiny())


def test_plan_tells_schedule_groups_and_cost_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed("cifar/resnet20", "--plan", "--data", "cifar10", "--recipe", "he2015-cifar")
    out = capsys.readouterr().out
    assert "45,000 training images, batch 128, 351 steps an epoch" in out
    assert "     32,000    91.17        0.01  milestone" in out
    assert "     48,000   136.75       0.001  milestone" in out
    assert "all parameters: " in out
    assert "weight decay 0.0001" in out
    assert "8,192,000 images at 3 x " in out
    assert not (tmp_path / "runs").exists()


def test_the_recipe_follows_the_data_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, line in (
        ([], "recipe    cifar-short (the one for cifar10)"),
        (["--epochs", "3"], "recipe    cifar-short (the one for cifar10), with length=3 epochs"),
        (["--recipe", "digits"], "recipe    digits"),
    ):
        typed("cifar/resnet20", "--plan", "--data", "cifar10", *words)
        assert capsys.readouterr().out.splitlines()[0] == line


def test_a_run_goes_on_with_the_recipe_it_was_begun_with(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    # What `--data synthetic` alone meant may have changed since.
    changes = ["--data", "synthetic", "--set", "batch=512", "--device", "cpu", "--out", "run"]
    command(*changes, "--recipe", "cifar-short", "--set", "length=1 steps")
    capsys.readouterr()
    command(*changes, "--set", "length=1 steps", "--resume")
    assert "recipe cifar-short, with batch=512" in capsys.readouterr().err


def test_plan_says_memory_augmentation_loss_and_the_measured_time(
    command: Callable[..., None], tiny: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "augment={crop: pad, mixup: 0.2}", "--set", "loss.label_smoothing=0.1"]
    command("--plan", *words, "--precision", "fp32")
    out = capsys.readouterr().out
    plan = resolve(load_spec(tiny()))
    peak = short_memory(training_step(plan, 128, "fp32", "momentum").peak)
    assert f"  memory: about {peak} in fp32 a step of 128 images at a time" in out
    assert "augment   crops of the image padded by 4, mixup 0.2" in out
    assert "loss      cross-entropy, label smoothing 0.1" in out
    assert "time:" not in out
    command("--plan", "--measure", *words, "--device", "cpu")
    out = capsys.readouterr().out
    (told,) = re.findall(r"time: (.*)", " ".join(out.split()))
    # 24 epochs of 11 steps.
    step, whole = re.findall(r"([0-9.e-]+) s a step .*: (\d+) s for 264 steps and \d+ s for", told)[
        0
    ]
    assert float(whole) == pytest.approx(264 * float(step), rel=0.1, abs=1)
    assert max(map(len, out.splitlines())) <= 80
    with pytest.raises(UserError, match="--measure says nothing without --plan"):
        command("--measure")


def test_a_measured_step_that_does_not_fit_is_an_error(
    command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stepper, "__call__", full)
    with pytest.raises(UserError, match="tiny: a step of 128 images does not fit into memory; "):
        command("--plan", "--measure", "--device", "cpu")


def test_plan_costs_the_images_trained_on(
    command: Callable[..., None],
    tiny: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = Path(tiny("larger")).read_text().replace("size: 8", "size: 20")
    (tmp_path / "larger.yaml").write_text(text)
    macs = cost(resolve(load_spec(str(tmp_path / "larger.yaml")))).macs
    command("--plan", "--set", "augment.size=20")
    assert f"images at 3 x {macs:,} MACs" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"augment\.size 1: too small for tiny: .* below 1x1"):
        command("--plan", "--set", "augment.size=1")


def test_plan_never_imports_torch(tiny: Callable[..., str]) -> None:
    code = (
        "import sys\nfrom resgen.cli import app\n"
        f"app(['train', {tiny()!r}, '--plan'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_grey_digits_train_a_colour_network(
    tmp_path: Path, command: Callable[..., None], tiny: Callable[..., str]
) -> None:
    text = Path(tiny("colour")).read_text().replace("channels: 1, size: 8", "channels: 3, size: 12")
    (tmp_path / "colour.yaml").write_text(text)
    command("colour.yaml", "--epochs", "1", "--out", "run", "--device", "cpu")
    assert len(metrics.read(tmp_path / "run" / "colour")) == 1


def test_files_on_disk_are_trained_on_and_a_bad_one_is_named(
    tmp_path: Path, tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tiny("grey", classes=2)
    for split, count in (("train", 8), ("test", 3)):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                # Two sizes, so that the set is not held in memory.
                image = Image.new("L", (16 + number % 2, 16), 50 + 150 * label)
                image.save(tmp_path / "data" / split / name / f"{number}.png")
    crop = "augment={crop: random-resized, flip: horizontal}"

    def start(out: str, workers: int) -> None:
        words = f"--data folder:data --set batch=4 --epochs 2 --out {out} --device cpu"
        app(
            ["train", spec, *words.split(), "--set", crop, "--workers", str(workers)],
            standalone_mode=False,
        )

    start("two", 2)
    start("none", 0)
    rows = [
        metrics.without_times(metrics.read(path)) for path in (tmp_path / "two", tmp_path / "none")
    ]
    assert rows[0] == rows[1]
    (tmp_path / "data/train/cat/3.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cat/3\.png: unreadable image") as caught:
        start("bad", 2)
    assert "\n" not in str(caught.value)


def test_the_table_of_the_others_is_printed_before_exit_code_3(
    tiny: Callable[..., str],
    command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = Trainer.fit

    def failing(trainer: Trainer, stop: Stop) -> Result:
        if trainer.setup.network.name == "tiny":
            raise Diverged("tiny: became NaN")
        return fit(trainer, stop)

    monkeypatch.setattr(Trainer, "fit", failing)
    with pytest.raises(Diverged, match=r"^tiny: became NaN$") as caught:
        command(tiny("other"), "--epochs", "1", "--out", "run", "--device", "cpu", "--quiet")
    assert caught.value.exit_code == 3
    out = capsys.readouterr().out.splitlines()
    assert out[2].startswith("other ")
    assert not any(line.startswith("tiny") for line in out)


def test_a_spec_of_a_long_name_has_a_folder(
    tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{'n' * 250}.yaml"
    Path(tiny()).rename(path)
    typed(str(path), "--epochs", "1", "--device", "cpu")
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == f"{'n' * 80}-digits-digits-0"


def test_a_reader_of_the_log_that_leaves_does_not_end_the_training(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "resgen", "train", tiny(), "--epochs", "2", "--device", "cpu"]
    process = subprocess.Popen(
        [*words, "--out", "run"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.readline()
    process.stderr.close()
    assert process.stdout.read().splitlines()[2].startswith("tiny ")
    assert process.wait() == 0
    assert len(metrics.read(tmp_path / "run")) == 2

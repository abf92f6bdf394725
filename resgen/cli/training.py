"""The options of `train`, in groups: what, from where, on what, with which images, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from resgen.cli import completion
from resgen.cli.device import Device
from resgen.cli.options import DATA, Overrides, keys_set
from resgen.cli.seeds import in_a_name
from resgen.errors import UserError

if TYPE_CHECKING:
    import torch

    from resgen.train.data.images import Wanted
    from resgen.train.device.engine import Engine
    from resgen.train.recipe import Recipe
    from resgen.train.run.network import Network
    from resgen.train.run.outlook import Run


@dataclass(frozen=True)
class Task:
    """What to train on, and how."""

    PANEL = "What is trained"

    with_: Overrides = None
    data: Annotated[str, Option(help=DATA, autocompletion=completion.data)] = "digits"
    recipe: Annotated[
        str | None,
        Option(
            help="A recipe file, or a shipped recipe.",
            autocompletion=completion.recipes,
            show_default="the one for the data",
        ),
    ] = None
    set_: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Changes the recipe: optimizer.lr=0.05."),
    ] = None
    epochs: Annotated[
        int | None, Option(help="Changes the recipe's length.", min=1, max=1_000_000)
    ] = None
    batch: Annotated[
        str | None, Option(help="Images a step; auto cuts it to what fits in memory.")
    ] = None

    def changes(self) -> list[str]:
        """What differs from the recipe, as assignments to its keys."""
        changes = list(self.set_ or [])
        if self.batch is not None and self.batch != "auto":
            changes.append(f"batch={self.batch}")
        if self.epochs is not None:
            changes.append(f"length={self.epochs} epochs")
        return changes

    def named(self, out: Path | None) -> str:
        """The recipe's name: the one given, that of the run to go on with, or the data's own."""
        from resgen.train.recipe.defaults import begun_with, recipe_for

        begun = begun_with(out) if out and not self.recipe else None
        return self.recipe or begun or recipe_for(self.data)

    def chosen(self, name: str) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe as it is run, and what is unusual about the changes."""
        from resgen.spec.assigning import set_values
        from resgen.train.recipe import read_recipe
        from resgen.train.recipe.keys import far_changes

        preset, changes = read_recipe(name), self.changes()
        chosen = set_values(preset, changes) if changes else preset
        return chosen, tuple(far_changes(preset, chosen))

    def title(self, name: str) -> str:
        """The recipe's name, why it is this one, and what was changed of it."""
        from resgen.train.recipe.defaults import recipe_for

        own = self.recipe is None and name == recipe_for(self.data)
        why = f" (the one for {self.data.partition(':')[0]})" if own else ""
        return ", with ".join([f"{name}{why}", *self.changes()])

    def said(self) -> list[str]:
        """What the rules about options know this by: `--data folder`, `--set batch`."""
        return [f"--data {self.data.partition(':')[0]}", *keys_set(self.set_)]


@dataclass(frozen=True)
class Start:
    """Where a run lies, and what it starts from."""

    PANEL = "The run and its start"

    out: Annotated[Path | None, Option(help="The run folder.", show_default="runs/...")] = None
    plan: Annotated[
        bool, Option("--plan", help="Show schedule, groups and cost; train nothing.")
    ] = False
    measure: Annotated[
        bool, Option("--measure", help="With --plan: time a few steps, and so the whole run.")
    ] = False
    resume: Annotated[bool, Option("--resume", help="Go on where the folder stops.")] = False
    auto_resume: Annotated[
        bool,
        Option(
            "--auto-resume", help="Go on if the folder holds a run, else start: for schedulers."
        ),
    ] = False
    force: Annotated[bool, Option("--force", help="Start over in a used folder.")] = False
    init_from: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Start from weights: a run, .pth, .pt, .safetensors, or `reference`.",
        ),
    ] = None
    head: Annotated[
        Literal["auto", "keep", "drop"],
        Option(help="The classifier of --init-from; auto keeps it where it fits."),
    ] = "auto"
    normalize: Annotated[
        Literal["weights", "data"], Option(help="By the mean and deviation of which images.")
    ] = "weights"

    @property
    def kind(self) -> Literal["new", "resume", "auto", "force"]:
        """What to do with a folder that holds a run."""
        asked = {"resume": self.resume, "auto": self.auto_resume, "force": self.force}
        return next((word for word in ("resume", "auto", "force") if asked[word]), "new")

    @property
    def goes_on(self) -> bool:
        """Whether a run that is there is taken up."""
        return self.resume or self.auto_resume

    def said(self) -> list[str]:
        """What the rules about options know this by."""
        return (
            [] if self.init_from is None else [f"--init-from {str(self.init_from).split(':')[0]}"]
        )

    def folder(self, specs: list[str], task: Task, seeds: tuple[int, ...]) -> Path:
        """The run folder: the one named, or one named after the run."""
        if self.out is not None:
            return self.out
        names = [_short(Path(spec).stem) for spec in specs]
        title = names[0] if len(names) == 1 else f"{names[0]}-and-{len(names) - 1}-more"
        data, recipe = task.data.partition(":")[0], _short(Path(task.named(None)).stem)
        return Path("runs") / "-".join([title, data, recipe, _short(in_a_name(seeds))])


def _short(name: str) -> str:
    """The start of a name: a file's may be so long that with more behind it none can have it."""
    return name.encode(errors="surrogateescape")[:80].decode(errors="ignore")


@dataclass(frozen=True)
class Machine(Device):
    """How a step is computed."""

    PANEL = "Where it runs"

    compile: Annotated[
        Literal["auto", "on", "graphs", "off"],
        Option(help="Use torch.compile, with CUDA graphs; auto: on CUDA, where it pays."),
    ] = "auto"
    recompute: Annotated[
        Literal["off", "blocks"], Option(help="Save memory by computing blocks twice.")
    ] = "off"
    sync_bn: Annotated[bool, Option("--sync-bn", help="Batch norm over all processes (CUDA).")] = (
        False
    )
    threads: Annotated[
        int | None,
        Option(help="On the CPU; bits differ with them.", show_default="torch's choice", min=1),
    ] = None

    def engine(self, local_rank: int) -> Engine:
        """The engine of this process. Raises UserError for a device that is not there."""
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        chosen = self.chosen(self.compile, local_rank)
        if self.sync_bn and chosen.device.type != "cuda":
            raise UserError(f"--sync-bn: torch has it on CUDA only (this is {chosen.device})")
        return chosen

    def expected(self, recipe: Recipe, measure: bool) -> Callable[[Network, Run], str] | None:
        """What says how long a network's run takes, where that is to be measured."""
        if not measure:
            return None
        from resgen.train.run import measured

        motor = self.engine(0)
        return lambda network, run: measured.expected(
            network, recipe, motor, steps=run.steps, judged=run.judged
        )


@dataclass(frozen=True)
class Reading:
    """How images are read."""

    PANEL = "Images"

    heldout: Annotated[int | None, Option(help="Images to cut from the training set.", min=1)] = (
        None
    )
    download: Annotated[
        bool, Option("--download", help="Fetch CIFAR, hf:NAME or `reference`, if missing.")
    ] = False
    skip_bad_images: Annotated[
        bool, Option("--skip-bad-images", help="Leave unreadable images out.")
    ] = False
    workers: Annotated[int | None, Option(help="Processes that decode images.", min=0, max=256)] = (
        None
    )
    decode: Annotated[
        Literal["cpu", "gpu"], Option(help="Where JPEGs on disk are decoded (gpu: by nvJPEG).")
    ] = "cpu"

    def check(self, device: torch.device) -> None:
        """Raises UserError where the device is to decode images and cannot."""
        if self.decode == "gpu":
            from resgen.train.data.gpufeed import nvjpeg

            nvjpeg(device)

    def wanted(self, data: str) -> Wanted:
        """What is asked of the data of this name."""
        from resgen.train.data.images import Wanted

        return Wanted(
            data,
            heldout=self.heldout,
            download="allowed" if self.download else "never",
            bad_images="skip" if self.skip_bad_images else "refuse",
        )


@dataclass(frozen=True)
class Record:
    """What a run leaves behind and says."""

    PANEL = "What is kept and said"

    save_every: Annotated[
        float, Option(metavar="MINUTES", help="Between checkpoints in an epoch.", min=0)
    ] = 10.0
    deterministic: Annotated[
        bool, Option("--deterministic", help="Equal bits on a GPU, a little slower.")
    ] = False
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Also write TensorBoard's files.")
    ] = False
    quiet: Annotated[bool, Option("--quiet", help="Only the last table.")] = False

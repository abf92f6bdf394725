"""Images a second of one core, from JPEG files to batches: resgen, torchvision, timm and DALI.

    python bench/data.py                      500x375, random-resized crops and flips at 224
    python bench/data.py --rounds 60 --format json
    python bench/data.py --width 1600 --height 1200 --images 32

The files are made here: noise whose power falls with the square of the frequency, as in
photographs, with discs over it for edges; at quality 93 they have as many bytes as ImageNet's
(138 GB in 1,281,167 images: 108 kB). All contenders run in one process on one core, without
helpers, and take turns round by round, in an order drawn anew for each: a ratio is the median over
the rounds with its 95 % interval. `to bytes` ends where the images go to the device; `to floats`
normalises them, here on the same core. torchvision's is the pipeline of its references for
classification on Pillow images (references/classification/presets.py); timm's its own loader with
its fast collate, both bilinear as resgen; DALI's a decoder of the crop alone, a resize, and
crop-mirror-normalize. `--clock processor` counts the seconds of this process alone, on a machine
that others use too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from resgen.timing.environment import environment
from resgen.timing.race import orders
from resgen.timing.statistics import Estimate, estimate, ratio
from resgen.train.data import jpegs, sources
from resgen.train.data.augment import flip
from resgen.train.data.cropping import together
from resgen.train.data.decoding import as_pixels, decode
from resgen.train.data.feed import Making, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Data, Wanted
from resgen.train.data.order import Order
from resgen.train.device import engine
from resgen.train.recipe.keys import Augment

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Turn = Callable[[], object]
Times = dict[str, dict[int, float]]


# ---- the pictures


def photo(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Like a photograph to a JPEG coder."""
    far = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    far[0, 0] = np.inf

    def field(power: float) -> np.ndarray[Any, Any]:
        waves = rng.normal(size=far.shape) + 1j * rng.normal(size=far.shape)
        values = np.fft.irfft2(waves / far**power, (height, width))
        return values / values.std()

    grey = field(1.0)
    y, x = np.mgrid[:height, :width]
    for _ in range(12):
        middle, radius = rng.uniform((0, 0), (height, width)), rng.uniform(0.02, 0.3) * height
        disc = np.hypot(y - middle[0], x - middle[1]) < radius
        grey[disc] = grey[disc] / 2 + rng.normal()
    planes = np.stack([120 + 45 * grey, *(128 + 14 * field(1.3) for _ in range(2))], -1)
    return Image.fromarray(planes.clip(0, 255).astype(np.uint8), "YCbCr").convert("RGB")


def make(path: Path, images: int, width: int, height: int, quality: int) -> int:
    """Class folders of them; their mean size in bytes. One lies upright, so that sizes differ."""
    rng, total = np.random.default_rng(0), 0
    for split, count in (("train", images), ("val", 2)):
        for number in range(count):
            sides = (height, width) if split == "val" and number else (width, height)
            held = io.BytesIO()
            photo(rng, *sides).save(held, "JPEG", quality=quality)
            place = path / split / ("cat", "dog")[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.jpg").write_bytes(held.getvalue())
            total += len(held.getvalue()) if split == "train" else 0
    return total // images


# ---- who reads them


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def resgens(path: Path, batch: int, side: int) -> tuple[dict[str, Turn], FileFeed]:
    """The feed of files as training has it, in this process."""
    # As a set that is too large for memory.
    wanted = Wanted(f"folder:{path}", 3, (side, side), 2, memory_limit=0)
    data = sources.load(wanted)
    data = Data(data.name, data.classes, data.train, data.heldout, mean=MEAN, std=STD)
    making = Making.of(
        data, recipe=Augment(crop="random-resized", flip="horizontal"),
        order=Order(len(data.train), batch, 0), channels=3, size=(side, side),
        train_size=(side, side), device=torch.device("cpu"), layout=torch.channels_last,
    )  # fmt: skip
    feed = FileFeed(data, making, processes=0)
    batches = feed.train(Piece(step, range(batch)) for step in range(10_000))

    def bytes_() -> Iterator[Tensor]:
        for step in range(10_000):
            piece = Piece(step, range(batch))
            indices = making.cutting.indices(piece).tolist()
            files = data.train
            cuts = zip(indices, making.cutting.drawn(piece), strict=True)
            images = together(
                [
                    jpegs.cut_out(files[number], "RGB", plan, smaller=files.smaller)
                    for number, plan in cuts
                ]
            )
            yield flip(images, making.cutting.draws(piece))

    made = bytes_()
    return {
        "resgen, to bytes": lambda: next(made),
        "resgen, to floats": lambda: next(batches),
    }, feed


def torchvisions(path: Path, batch: int, side: int) -> dict[str, Turn]:
    from torchvision import datasets, transforms

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(side),
            transforms.RandomHorizontalFlip(0.5),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize(MEAN, STD),
        ]
    )
    folder = datasets.ImageFolder(str(path / "train"), transform)
    batches = endless(DataLoader(folder, batch, shuffle=True, drop_last=True))
    return {"torchvision, to floats": lambda: next(batches)}


def timms(path: Path, batch: int, side: int) -> dict[str, Turn]:
    from timm.data import ImageDataset, create_loader

    def loader() -> Any:
        return create_loader(
            ImageDataset(str(path / "train")), (3, side, side), batch, is_training=True,
            use_prefetcher=True, interpolation="bilinear", color_jitter=0.0, mean=MEAN, std=STD,
            num_workers=0, persistent_workers=False, device=torch.device("cpu"), pin_memory=False,
        )  # fmt: skip

    # Around timm's loader of bytes is its prefetcher, which normalises a batch before the last one
    # is used: its arithmetic without its turns, so that each turn here is one batch.
    around, other = loader(), loader()
    bytes_, floats = endless(around.loader), endless(other.loader)
    return {
        "timm, to bytes": lambda: next(bytes_),
        "timm, to floats": lambda: next(floats)[0].float().sub_(other.mean).div_(other.std),
    }


def dalis(path: Path, batch: int, side: int) -> dict[str, Turn]:
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(
        batch_size=batch, num_threads=1, device_id=None, prefetch_queue_depth=1,
        exec_async=False, exec_pipelined=False,
    )  # fmt: skip
    def pipeline() -> Any:
        files, labels = fn.readers.file(file_root=str(path / "train"), random_shuffle=True)
        images = fn.decoders.image_random_crop(
            files, output_type=types.RGB, random_area=[0.08, 1.0],
            random_aspect_ratio=[3 / 4, 4 / 3],
        )  # fmt: skip
        images = fn.resize(images, resize_x=side, resize_y=side, interp_type=types.INTERP_LINEAR)
        images = fn.crop_mirror_normalize(
            images, dtype=types.FLOAT, output_layout="CHW", mirror=fn.random.coin_flip(),
            mean=[255 * level for level in MEAN], std=[255 * level for level in STD],
        )  # fmt: skip
        return images, labels

    made = pipeline()
    made.build()
    return {"DALI, to floats": made.run}


OTHERS = {"torchvision": torchvisions, "timm": timms, "DALI": dalis}


def decoders(paths: list[str]) -> dict[str, Turn]:
    """Each decoder alone: a file's bytes in memory -> a tensor."""
    contents = [Path(path).read_bytes() for path in paths]

    def pillow(content: bytes) -> Tensor:
        return as_pixels(Image.open(io.BytesIO(content)).convert("RGB"))

    calls: dict[str, Callable[[bytes], object]] = {"Pillow": pillow}
    try:
        import simplejpeg

        calls["simplejpeg"] = lambda content: torch.from_numpy(simplejpeg.decode_jpeg(content))
    except ImportError:
        pass
    try:
        from torchcodec.decoders import decode_jpeg

        calls["torchcodec"] = decode_jpeg
    except (ImportError, OSError, RuntimeError):
        pass
    try:
        from torchvision import io as images

        calls["torchvision"] = lambda content: images.decode_jpeg(
            torch.frombuffer(content, dtype=torch.uint8)
        )
    except ImportError:
        pass
    return {
        name: (lambda call=call: [call(each) for each in contents])  # type: ignore[misc]
        for name, call in calls.items()
    }


def parts(paths: list[str], feed: FileFeed) -> dict[str, Turn]:
    """Where resgen's time goes."""
    found = [jpeg for path in paths if (jpeg := jpegs.opened(path))]
    piece = Piece(0, range(len(paths)))
    cuts = [
        plan(*jpeg.size) for plan, jpeg in zip(feed.making.cutting.drawn(piece), found, strict=True)
    ]
    full = [jpeg.pixels("RGB") for jpeg in found]
    images = [cut(pixels) for cut, pixels in zip(cuts, full, strict=True)]
    batch, draws = together(images), feed.making.cutting.draws(piece)
    return {
        "file and header": lambda: [jpegs.opened(path) for path in paths],
        "decoding": lambda: [jpeg.pixels("RGB") for jpeg in found],
        "decoding by Pillow": lambda: [as_pixels(decode(path, "RGB")) for path in paths],
        "crop and scaling": lambda: [cut(each) for cut, each in zip(cuts, full, strict=True)],
        "one batch of them": lambda: together(images),
        "flip": lambda: flip(batch, draws),
        "normalising": lambda: feed.making.normal(batch),
    }


# ---- the race


def race(turns: dict[str, Turn], rounds: int, clock: Callable[[], float]) -> Times:
    """Seconds of a turn of each, by the number of the round."""
    seconds: Times = {name: {} for name in turns}
    for number, order in enumerate(orders(list(turns), rounds + 1, 0)):
        for name in order:
            start = clock()
            turns[name]()
            if number:  # the first round warms up
                seconds[name][number] = clock() - start
    return seconds


def against(seconds: Times) -> dict[str, Any]:
    """How many times as many images resgen makes, of the same kind."""
    found: dict[str, Any] = {}
    for name, theirs in seconds.items():
        who, kind = name.split(", ")
        if who != "resgen":
            found[name] = ratio(seconds[f"resgen, {kind}"], theirs)
    return found


def span(found: Estimate, digits: int) -> str:
    """`1.74 (1.71 to 1.78)`; without an interval where the rounds are too few."""
    said = f"{found.median:.{digits}f}"
    if found.low is None or found.high is None:
        return said
    return f"{said} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--quality", type=int, default=93)
    parser.add_argument("--size", type=int, default=224, help="of what is trained on")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    engine.keep_freed_memory()
    clock = time.perf_counter if asked.clock == "wall" else time.process_time
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        size = make(path, asked.images, asked.width, asked.height, asked.quality)
        turns, feed = resgens(path, asked.batch, asked.size)
        missing = []
        for name, others in OTHERS.items():
            try:
                turns |= others(path, asked.batch, asked.size)
            except (ImportError, RuntimeError) as error:  # DALI looks for libraries of its own
                missing.append(f"{name}: {str(error).splitlines()[0]}")
        paths = sorted(map(str, (path / "train").glob("*/*.jpg")))[: asked.batch]
        seconds = race(turns, asked.rounds, clock)
        alone = race(decoders(paths), asked.rounds // 2, clock)
        inside = race(parts(paths, feed), asked.rounds // 2, clock)

    def each(times: dict[int, float]) -> Estimate:
        return estimate([1000 * value / asked.batch for value in times.values()])

    result = {
        **environment(engine.choose(device="cpu")),
        "images": f"{asked.width}x{asked.height}, {size:,} bytes, at {asked.size}",
        "batch": asked.batch, "rounds": asked.rounds, "clock": asked.clock, "missing": missing,
        "milliseconds_an_image": {name: each(times) for name, times in seconds.items()},
        "resgen_over": against(seconds),
        "decoder_alone": {name: each(times) for name, times in alone.items()},
        "parts_of_resgen": {name: each(times) for name, times in inside.items()},
    }  # fmt: skip
    if asked.format == "json":
        json.dump(result, sys.stdout, indent=2)
        return
    print(f"{result['images']}, batch {asked.batch}, one core, {asked.rounds} rounds")
    for name, (middle, _, _) in result["milliseconds_an_image"].items():
        over = result["resgen_over"].get(name)
        said = f"   resgen: {span(over, 2)} times as many" if over else ""
        print(f"  {name:24s}{1000 / middle:8,.0f} images/s {middle:7.3f} ms{said}")
    for title, key in (("decoders alone", "decoder_alone"), ("inside", "parts_of_resgen")):
        print(title)
        for name, found in result[key].items():
            print(f"  {name:24s}{span(found, 3)} ms an image")
    for line in missing:
        print(f"left out: {line}")


if __name__ == "__main__":
    main()

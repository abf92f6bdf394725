"""The packages installed here without some of them, for an interpreter that sees nothing else."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

TORCH = ("torch", "functorch", "nvidia", "triton", "fvcore", "iopath", "timm")


def without(left_out: tuple[str, ...], folder: Path) -> Path:
    """A folder of links to what is installed, but for names that begin so, and for resgen."""
    for place in map(Path, site.getsitepackages()):
        for path in place.iterdir():
            name = path.name.removeprefix("_").removeprefix("_editable_impl_")
            if not name.startswith(("resgen", *left_out)) and path.suffix != ".pth":
                (folder / path.name).symlink_to(path)
    return folder


def run(
    code: str, *arguments: str, cwd: Path, paths: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter without site-packages, which imports from these folders alone."""
    return subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        cwd=cwd,
        env={
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "COLUMNS": "80",
            "PATH": "/usr/bin:/bin",
            "HOME": str(cwd),
        },
        capture_output=True,
        text=True,
        check=False,
    )

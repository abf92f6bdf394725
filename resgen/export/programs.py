"""Modules as programs that need no Python: torch.export's, and ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO

import torch
from torch import Tensor

from resgen.errors import CheckFailed
from resgen.export.compare import compared, reason
from resgen.export.subject import Subject
from resgen.export.tracing import quiet
from resgen.proof import Check

METADATA = "resgen.json"
"""Where a .pt2 file has its metadata: torch.export.load(file, extra_files={METADATA: ""})."""


def pt2(subject: Subject) -> tuple[bytes, Check]:
    """A file of torch.export, and that it computes what the module does."""
    file = BytesIO()
    with quiet():
        torch.export.save(
            subject.program, file, extra_files={METADATA: json.dumps(subject.metadata.words())}
        )
        loaded = torch.export.load(BytesIO(file.getvalue())).module()
    what = "torch.export.load reads it"
    return file.getvalue(), compared(".pt2", what, loaded, subject.module, subject.images)


def onnx(subject: Subject) -> tuple[bytes, Check]:
    """An ONNX model, and that onnxruntime computes with it what the module does."""
    output = "logits" if subject.plan.classes else "features"
    try:
        with quiet():
            made = torch.onnx.export(
                subject.program, (), dynamo=True, input_names=["images"], output_names=[output],
                verbose=False,
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        raise CheckFailed(
            f"{subject.plan.name}: torch's exporter makes no ONNX model of it: {reason(error)}"
        ) from None
    assert made is not None
    made.model.metadata_props.update(subject.metadata.words())
    content: bytes = made.model_proto.SerializeToString()
    import onnxruntime

    what = f"onnxruntime {onnxruntime.__version__} reads it"
    return content, compared(".onnx", what, _session(content), subject.module, subject.images)


def _session(content: bytes) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (found,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(found)

    return run

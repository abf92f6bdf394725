"""Plan -> torch.nn.Module, by running the emitted source: what is read is what runs."""

from __future__ import annotations

import hashlib
import linecache
import sys
from types import ModuleType
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from resgen.cost import cost
from resgen.errors import UserError
from resgen.plan import Network, Plan, plan_of
from resgen.source.file import emit_source
from resgen.words import memory

MAX_BYTES = 2**40


def build_module(network: Network, *, features: bool = False) -> nn.Module:
    """The network as a module with He-initialized weights.

    Its class comes from the emitted source, imported under a name of its own and kept in
    `linecache`, so that tracebacks and `inspect.getsource` show the text. Raises UserError
    for a network too large to exist.
    """
    plan = plan_of(network)
    if (size := 4 * cost(plan).params) > MAX_BYTES:
        raise UserError(f"{plan.name}: {size:,} bytes of weights are too many to build")
    namespace = import_source(emit_source(plan, features=features))
    try:
        module: nn.Module = getattr(namespace, namespace.__all__[0])()
    except (MemoryError, RuntimeError) as error:
        if "alloc" not in str(error).lower():
            raise
        raise UserError(
            f"{plan.name}: its {memory(size)} of weights do not fit into memory"
        ) from None
    return module


class _Undrawn(TorchFunctionMode):
    """Leaves weights as they were allocated; drawing them takes longer than measuring them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").endswith(("normal_", "uniform_")):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def build_undrawn(plan: Plan) -> nn.Module:
    """The network as a module whose weights hold whatever their memory held."""
    with _Undrawn():
        return build_module(plan)


def import_source(source: str) -> ModuleType:
    """An emitted file as an imported module; the same text is imported once."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    name = f"resgen_built_{digest}"
    if name not in sys.modules:
        file = f"<{name}>"
        lines = source.splitlines(keepends=True)
        linecache.cache[file] = (len(source), None, lines, file)
        module = ModuleType(name)
        module.__file__ = file
        # The text is our own rendering of a validated Plan; nothing of the user's is run.
        # It has none of this file's __future__: torch.jit reads annotations, not their text.
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
        sys.modules[name] = module
    return sys.modules[name]

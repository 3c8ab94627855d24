"""What a network does, operation by operation, written down while it runs once on a small image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

aten = torch.ops.aten

VIEWS = frozenset({aten.slice, aten.split, aten.split_with_sizes, aten.view, aten.select, aten.alias, aten.detach})
"""Operations whose results share memory with what they are of."""


class NotStreamableError(Exception):
    """A network holds an operation whose need of rows is not known here; such a network runs on whole tiles."""


@dataclass(frozen=True)
class Ref:
    """Stands for a tensor that depends on the network's inputs; a tensor that is changed in place gets a new number."""

    number: int


@dataclass(frozen=True)
class Call:
    """One operation.

    Attributes:
        name: its name in ATen, without the ``_`` of operations in place.
        packet: the operation itself, likewise not in place.
        args: its arguments, a `Ref` where a tensor depends on the network's inputs.
        kwargs: likewise.
        results: one for every result that is a tensor.
    """

    name: str
    packet: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[Ref, ...]

    @property
    def sources(self) -> list[Ref]:
        """What it reads, of what depends on the inputs."""
        return [value for value in tree_iter((self.args, self.kwargs)) if isinstance(value, Ref)]


@dataclass(frozen=True)
class Recording:
    """All operations in their order, with the inputs and outputs of the whole."""

    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    calls: tuple[Call, ...]


def record(function: Callable[..., tuple[Tensor, ...]], images: Sequence[Tensor]) -> Recording:
    """Run a function of images once and write down what it does.

    ``torch.fx`` does so too, but its tracer for plain functions loads the compiler, 120 MB of it, which is not needed.

    Raises:
        NotStreamableError: it changes a part of a tensor, or an input, in place.
    """
    recorder = _Recorder(images)
    with torch.no_grad(), recorder:
        outputs = function(*images)
    return Recording(recorder.inputs, tuple(map(recorder.ref, outputs)), tuple(recorder.calls))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self._tensors: list[Tensor] = []  # kept, so that none gets the identity of one that is gone
        self._numbers: dict[int, int] = {}
        self.inputs = tuple(map(self._name, images))
        self._fixed = set(self.inputs)  # and views, and what has views

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load the compiler, only to tell it that there is nothing to compile

    def ref(self, tensor: Tensor) -> Ref:
        """The reference of a tensor that depends on the inputs."""
        if id(tensor) not in self._numbers:
            raise NotStreamableError("output, which torch does not compute from the image")
        return Ref(self._numbers[id(tensor)])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given, options = tree_map(self._known, tuple(args)), tree_map(self._known, kwargs)
        results = func(*args, **kwargs)
        if not any(isinstance(value, Ref) for value in tree_iter((given, options))):
            return results  # of weights and constants alone
        name, packet = func.overloadpacket.__name__, func.overloadpacket
        if name.endswith("_"):
            name, packet = name[:-1], getattr(aten, name[:-1], None)
            if not isinstance(given[0], Ref) or given[0] in self._fixed:
                raise NotStreamableError(f"operation {func} on an input, a constant, a view, or something viewed")
        made = tuple(self._name(value) for value in tree_iter(results) if isinstance(value, Tensor))
        call = Call(name, packet, given, options, made)
        if packet in VIEWS:
            self._fixed |= {*call.sources, *made}
        self.calls.append(call)
        return results

    def _name(self, tensor: Tensor) -> Ref:
        self._tensors.append(tensor)
        self._numbers[id(tensor)] = len(self._tensors)
        return Ref(len(self._tensors))

    def _known(self, value: Any) -> Any:
        return Ref(self._numbers[id(value)]) if isinstance(value, Tensor) and id(value) in self._numbers else value

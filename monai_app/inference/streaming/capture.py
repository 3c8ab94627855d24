"""The operations of a network as a graph, captured while it runs once on a small image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

aten = torch.ops.aten

VIEWS = frozenset({aten.slice, aten.split, aten.split_with_sizes, aten.view, aten.select, aten.alias, aten.detach})
"""Operations whose results share memory with their argument."""


class NotStreamableError(Exception):
    """A network holds an operation whose need of rows is not known here; such a network runs on whole tiles."""


@dataclass(frozen=True)
class Value:
    """Stands for a tensor that depends on the network's inputs; a tensor that is changed in place gets a new number.

    Attributes:
        number: of the tensor, in the order they were made.
        shape: of the tensor, at the size of image that was captured.
    """

    number: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: its name in ATen, without the ``_`` of operations in place.
        packet: the operation itself, likewise not in place.
        args: its arguments, a `Value` where a tensor depends on the network's inputs.
        kwargs: likewise.
        results: one for every result that is a tensor.
    """

    name: str
    packet: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[Value, ...]

    @property
    def sources(self) -> list[Value]:
        """The arguments that depend on the network's inputs."""
        return [value for value in tree_iter((self.args, self.kwargs)) if isinstance(value, Value)]


@dataclass(frozen=True)
class Graph:
    """All operations in their order, with the inputs and outputs of the whole."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]


def capture(function: Callable[..., tuple[Tensor, ...]], images: Sequence[Tensor]) -> Graph:
    """Run a function of images once and note its operations.

    ``torch.fx`` cannot: its symbolic trace of MONAI's ``BasicUNet`` silently lacks the skip connections, and its tracer
    for plain functions loads the compiler, 120 MB of it, which is not needed.

    Raises:
        NotStreamableError: it changes a part of a tensor, or an input, in place.
    """
    recorder = _Recorder(images)
    with torch.no_grad(), recorder:
        outputs = function(*images)
    return Graph(recorder.inputs, tuple(map(recorder.value, outputs)), tuple(recorder.nodes))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self._tensors: list[Tensor] = []  # kept, so that none gets the identity of one that is gone
        self._values: dict[int, Value] = {}
        self.inputs = tuple(map(self._name, images))
        self._fixed = set(self.inputs)  # and views, and what has views

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load the compiler unnecessarily

    def value(self, tensor: Tensor) -> Value:
        """The value of a tensor that depends on the inputs."""
        if id(tensor) not in self._values:
            raise NotStreamableError("output, which torch does not compute from the image")
        return self._values[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given, options = tree_map(self._known, tuple(args)), tree_map(self._known, kwargs)
        results = func(*args, **kwargs)
        if not any(isinstance(value, Value) for value in tree_iter((given, options))):
            return results  # of weights and constants alone
        name, packet = func.overloadpacket.__name__, func.overloadpacket
        if name.endswith("_"):
            name, packet = name[:-1], getattr(aten, name[:-1], None)
            if not isinstance(given[0], Value) or given[0] in self._fixed:
                raise NotStreamableError(f"operation {func} on an input, a constant, a view, or something viewed")
        made = tuple(self._name(value) for value in tree_iter(results) if isinstance(value, Tensor))
        node = Node(name, packet, given, options, made)
        if packet in VIEWS:
            self._fixed |= {*node.sources, *made}
        self.nodes.append(node)
        return results

    def _name(self, tensor: Tensor) -> Value:
        self._tensors.append(tensor)
        self._values[id(tensor)] = Value(len(self._tensors), tuple(tensor.shape))
        return self._values[id(tensor)]

    def _known(self, value: Any) -> Any:
        return self._values.get(id(value), value) if isinstance(value, Tensor) else value

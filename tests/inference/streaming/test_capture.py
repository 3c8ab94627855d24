"""What is written down of a network while it runs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from monai_app.inference.streaming.capture import NotStreamableError, Value, capture
from tests.conftest import run_command

aten = torch.ops.aten


def image() -> Tensor:
    return torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_operations_are_written_down_in_order_with_what_they_read_and_make() -> None:
    weight, bias = torch.rand(2, 4, 3, 3), torch.rand(2)

    def function(first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        made = torch.conv2d(first + second, weight, bias, padding=1)
        return made.relu(), torch.cat([second, made], 1)

    graph = capture(function, [image(), image()])
    one, two = graph.inputs
    added, convolved, positive, joined = graph.nodes
    assert [node.name for node in graph.nodes] == ["add", "convolution", "relu", "cat"]
    assert [node.packet for node in graph.nodes] == [aten.add, aten.convolution, aten.relu, aten.cat]
    assert added.sources == [one, two]
    assert convolved.args[1] is weight
    assert convolved.sources == list(added.results)
    assert positive.sources == list(convolved.results)
    assert joined.args == ([two, *convolved.results], 1)
    assert graph.outputs == (*positive.results, *joined.results)
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.results)]
    assert len({value.number for value in values}) == len(values)
    assert joined.results[0].shape == (1, 6, 8, 8)


def test_a_tensor_changed_in_place_is_another_from_then_on() -> None:
    def function(image: Tensor) -> tuple[Tensor, ...]:
        made = image * 2
        before = made + 1
        made.relu_()
        return (before + made,)

    doubled, before, positive, summed = capture(function, [image()]).nodes
    assert (positive.name, positive.packet) == ("relu", aten.relu)
    assert before.sources == positive.sources == list(doubled.results)
    assert positive.results != doubled.results
    assert summed.sources == [*before.results, *positive.results]


def test_what_depends_on_constants_alone_is_not_captured() -> None:
    factor = torch.rand(4, 1, 1)

    def function(image: Tensor) -> tuple[Tensor, ...]:
        scale = (factor.exp() + torch.ones(4, 1, 1)).neg_()
        scale[1:].mul_(3.0)
        return (image * scale,)

    (node,) = capture(function, [image()]).nodes
    assert (node.name, node.sources) == ("mul", [Value(1, (1, 4, 8, 8))])
    expected = -(factor.exp() + 1) * torch.tensor([1.0, 3.0, 3.0, 3.0])[:, None, None]
    torch.testing.assert_close(node.args[1], expected)


def test_a_module_runs_once_and_gives_what_it_gives_without_capturing() -> None:
    given: list[Tensor] = []
    module = nn.Sequential(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.MaxPool2d(2)).eval()

    def function(image: Tensor) -> tuple[Tensor, ...]:
        given.append(module(image))
        return (given[-1],)

    graph = capture(function, [image()])
    (result,) = given
    assert not result.requires_grad
    torch.testing.assert_close(result, module(image()))
    assert graph.nodes[-1].results[0] == graph.outputs[0]  # the other result are indices


@pytest.mark.parametrize(
    "function",
    [
        lambda image: image.relu_(),
        lambda image: (image + 1)[:, :2].relu_(),
        lambda image: (image + 1).split(2, 1)[1].mul_(2),
        lambda image: (image + 1).detach().add_(1),
        lambda image: (image + 1)[0].clamp_(0),
        lambda image: (image + 1).view(1, 4, 64).tanh_(),
        lambda image: torch.ones(1, 4, 8, 8).add_(image),
    ],
)
def test_changes_of_inputs_views_and_constants_are_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(NotStreamableError, match="on an input, a constant, a view, or something viewed"):
        capture(lambda image: (function(image),), [image()])


def test_changes_of_what_has_views_are_refused() -> None:
    def function(image: Tensor) -> tuple[Tensor, ...]:
        made = image + 1
        half = made[:, :2]
        made.relu_()
        return (half,)

    with pytest.raises(NotStreamableError, match=r"aten\.relu_\.default on .* something viewed"):
        capture(function, [image()])


def test_an_output_without_the_image_is_refused() -> None:
    with pytest.raises(NotStreamableError, match="does not compute from the image"):
        capture(lambda image: (torch.ones(3),), [image()])


def test_the_compiler_is_not_loaded() -> None:
    """It takes 120 MB, which is why there is a recorder of our own."""
    code = """if True:
        import sys
        import torch
        from monai_app.inference.streaming.lowering import lower_to_row_stream
        from monai_app.networks.protocol import as_sequence
        from monai_app.networks import Sensor3D
        made = lower_to_row_stream(as_sequence(Sensor3D(1, 2, filters=2, norm="batch").eval(), 3, 1), 3, 1, 16)
        with torch.no_grad():
            print(sum(len(rows) for _, _, rows in made.run([[torch.zeros(8, 8, 1)] * 3], 8)))
        print(sorted({"torch._dynamo", "torch._inductor"} & set(sys.modules)))
    """
    assert run_command("-c", code, fresh=True).stdout.split("\n")[:2] == ["8", "[]"]

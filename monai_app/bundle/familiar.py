"""Tell when a model meets another microscope: other voxels, or grey values far from those that it was trained on."""

import logging

from monai_app.bundle.training_data import describe_stack
from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.training_stack import differences
from monai_app.stack import Stack


def tell_what_is_unfamiliar(spec: ModelSpec, stack: Stack) -> None:
    """Warn of what in a stack is unlike all stacks that a model was trained on; a model of earlier versions knows none.

    Args:
        spec: of the model; detectors that the stack lacks are left out.
        stack: what it is applied to.
    """
    shared = [name for name in spec.detectors if name in stack.detectors]
    if not spec.training_stacks or not shared:
        return
    scaling = {name: stats for name, stats in spec.scaling.items() if name in shared}
    for line in differences(spec.training_stacks, scaling, describe_stack(stack, shared)):
        logging.getLogger(__name__).warning(
            "%s; look at the result, and train on an annotated slice of this stack too if it is poor", line
        )

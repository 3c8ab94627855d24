"""A simulator of two-detector FIB-SEM stacks of cement mortar, with the truth of every slice."""

from monai_app.phantom.config import PhantomConfig
from monai_app.phantom.sample import write_sample
from monai_app.phantom.simulate import PhantomSlice, simulate
from monai_app.phantom.structure.phases import PHASES

__all__ = ["PHASES", "PhantomConfig", "PhantomSlice", "simulate", "write_sample"]

"""Carrying out the trainings of a study: here or on a cluster, and what predicting costs afterwards."""

from monai_app.study.execution.completion import check_lengths, is_done, seconds_of
from monai_app.study.execution.cost import Cost, measure_costs, read_cost
from monai_app.study.execution.execute import carry_out

__all__ = ["Cost", "carry_out", "check_lengths", "is_done", "measure_costs", "read_cost", "seconds_of"]

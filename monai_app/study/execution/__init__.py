"""Execution of a study's trainings, on this machine or a cluster, and the cost of prediction."""

from monai_app.study.execution.completion import check_lengths, is_done, seconds_of
from monai_app.study.execution.cost import Cost, measure_costs, read_cost
from monai_app.study.execution.execute import run_all

__all__ = ["Cost", "check_lengths", "is_done", "measure_costs", "read_cost", "run_all", "seconds_of"]

"""Commands for the results of a segmentation: scores, quantities, reports and studies."""

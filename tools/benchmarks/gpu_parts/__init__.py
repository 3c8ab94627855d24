"""The parts of tools/benchmarks/gpu.py: each takes a `place.Place`, and says in JSON what it found.

``rows`` are printed a line each; ``proved`` is whether what its docstring says holds, and is missing where a part only
measures; ``left_out`` is why it was not tried.
"""

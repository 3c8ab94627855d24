"""The parts of tools/benchmarks/gpu.py."""

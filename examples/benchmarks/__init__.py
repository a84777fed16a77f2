"""What `benchmark.py` times: workloads, the same work in other frameworks, and how to measure."""

"""Studies: what layers keep, and how solvers and networks differ; the pure parts, and their figures."""

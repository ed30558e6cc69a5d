"""How fast this machine is: the kernels and the whole real-time frame on the workloads of docs/performance.md."""

from .table import Row, benchmark

__all__ = ["Row", "benchmark"]

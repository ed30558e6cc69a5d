"""The workload "visibility" of `rgb bench` alone, call by call, for a profiler:
`ncu --set full -k visibility -s 6 -c 1 python -P benchmarks/visibility_turning.py [--calls N]`.
"""

import argparse

import torch

from rgb_core.benchmarking.workloads import visibility_turning


def main() -> None:
    """Make the calls that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=8)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    work = visibility_turning(torch.device(arguments.device))
    for _ in range(arguments.calls):
        work.run()
    if arguments.device != "cpu":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()

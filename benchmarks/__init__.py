"""Measurements that anyone can repeat: `python -m benchmarks NAME`. Figures are ratios taken in one run."""

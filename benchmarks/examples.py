"""`python -m benchmarks examples [NAMES] [--pictures FOLDER]`: run the gallery, and say how long each example takes."""

import argparse
import os
import pathlib
import subprocess
import sys
import time

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"
# Each example has a process of its own, as a user's has; its picture is kept where that is asked for.
RUN = """
import runpy, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1], run_name="__main__")
assert len(plt.get_fignums()) == 1, "an example has one figure"
if sys.argv[2]:
    plt.savefig(sys.argv[2], dpi=100, bbox_inches="tight")
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks examples")
    parser.add_argument("names", nargs="*", help="parts of the paths of the examples to run; all if there are none")
    parser.add_argument("--pictures", metavar="FOLDER", help="write the figures there")
    options = parser.parse_args(arguments)
    chosen = [
        path
        for path in sorted(EXAMPLES.rglob("plot_*.py"))
        if not options.names or any(name in str(path.relative_to(EXAMPLES)) for name in options.names)
    ]
    if options.pictures:
        pathlib.Path(options.pictures).mkdir(parents=True, exist_ok=True)
    failed, total = [], 0.0
    print("| example | seconds | asserts |\n| --- | ---: | --- |")
    for path in chosen:
        picture = pathlib.Path(options.pictures, f"{path.parent.name}-{path.stem}.png") if options.pictures else ""
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", RUN, path.name, str(picture and picture.resolve())],
            cwd=path.parent,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        total += seconds
        asserts = sum(line.lstrip().startswith("assert ") for line in path.read_text().splitlines())
        held = f"{asserts} held" if done.returncode == 0 else "FAILED"
        print(f"| {path.relative_to(EXAMPLES)} | {seconds:.1f} | {held} |", flush=True)
        if done.returncode:
            failed.append((path.relative_to(EXAMPLES), done.stderr.strip().splitlines()[-1:]))
    print(f"| {len(chosen)} examples | {total:.1f} | {len(failed)} failed |")
    for path, words in failed:
        print(f"{path}: {' '.join(words)}", file=sys.stderr)
    sys.exit(bool(failed))

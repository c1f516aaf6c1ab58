"""What `import mckean` costs beside importing jax and diffrax, which it cannot do without."""

import argparse
import json
import statistics
import subprocess
import sys
import time

ROUNDS = 7


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    _seconds("import mckean")
    pairs = [(_seconds("import mckean"), _seconds("import jax, diffrax")) for _ in range(ROUNDS)]
    figures = {
        "import mckean / s": statistics.median(a for a, _ in pairs),
        "import jax, diffrax / s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }
    for name, value in figures.items():
        print(f"{name}: {value:.3f}")
    document = json.dumps(figures, indent=1)
    print(document)
    if options.json:
        with open(options.json, "w") as file:
            file.write(document)

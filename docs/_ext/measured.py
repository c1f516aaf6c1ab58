"""Write docs/measured.json, a number a claim: `python docs/_ext/measured.py REPORT/claims.json`."""

import json
import sys
from pathlib import Path

from mckean.digits import measurement, number

TARGET = Path(__file__).resolve().parent.parent / "measured.json"
RELATIONS = {"equal": "=", "at most": "≤", "at least": "≥", "unequal": "≠"}


def brief(claim: dict) -> dict:
    return {
        "chapter": claim["chapter"],
        "statement": claim["claim"],
        "predicted": f"{RELATIONS[claim['relation']]} {number(float(claim['predicted']))}",
        "measured": measurement(float(claim["measured"]), float(claim["stderr"])),
        "verdict": claim["verdict"],
    }


def main(source: str) -> None:
    report = json.loads(Path(source).read_text())
    made = f"`{report['command'].split(' --out')[0]}`, mckean {report['versions']['mckean']}, {report['date']}"
    claims = [brief(claim) for claim in report["claims"]]
    TARGET.write_text(json.dumps({"made": made, "claims": claims}, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

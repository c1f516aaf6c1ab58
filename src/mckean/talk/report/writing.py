"""The report on disk: whole or not at all, and never in the place of one with more chapters."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mckean.talk.archive import CLAIMS, PAGE, SEEDS, put
from mckean.talk.calibration import Calibration
from mckean.talk.claims import LEVEL, SHARES, TALK_LEVEL, Chapter, Claim, Observation
from mckean.talk.report import seeds
from mckean.talk.report.drawing import Drawing, draw
from mckean.talk.report.page import page
from mckean.talk.report.setting import Setting
from mckean.talk.run import Outcome, Talk

# Where a report goes that has fewer chapters than the one that is there.
PARTIAL = "partial"


class Report:
    """The report of a run, written anew as each chapter ends.

    **Arguments:**

    - `folder`: where it goes. While a report that is there is full and this one quick, or has more chapters, it goes
      to `partial` in it.
    - `setting`: where and when the run is made.
    - `stopped`: once it says so, nothing more is drawn.
    """

    def __init__(self, folder: Path, setting: Setting | None = None, stopped: Callable[[], bool] = lambda: False):
        self.folder, self.stopped = Path(folder), stopped
        self.setting = setting or Setting.here()
        self.drawn: dict[str, Drawing] = {}
        self.before = size_of(self.folder)

    def draw(self, outcome: Outcome) -> None:
        """Draw the figures of a chapter, once."""
        if outcome.chapter.name not in self.drawn:
            self.drawn[outcome.chapter.name] = draw(outcome, self.stopped)

    def write(self, talk: Talk, calibration: Calibration | None = None) -> Path:
        """Draw what is new, write `report.html` and `claims.json` and return the path of the page.

        With a calibration they have a section on it, and `seeds.json` beside them. All are complete before any is in
        place; a failure leaves the folder as it was.
        """
        for outcome in talk.outcomes:
            self.draw(outcome)
        calibrated = "" if calibration is None else seeds.section(calibration)
        texts = {
            PAGE: page(talk, self.setting, self.drawn, calibrated),
            CLAIMS: _json(record(talk, self.setting)),
            **({} if calibration is None else {SEEDS: _json(calibration.record())}),
        }
        place = self.folder / PARTIAL if (not talk.quick, len(talk.outcomes)) < self.before else self.folder
        place.mkdir(exist_ok=True)
        put({place / name: text.encode() for name, text in texts.items()})
        if place == self.folder:
            shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        return place / PAGE


def size_of(folder: Path) -> tuple[bool, int]:
    """Whether the report in a folder is a full one, and of how many chapters; of none where none can be read."""
    try:
        found = json.loads((folder / CLAIMS).read_text(encoding="utf-8"))
        return found["mode"] == "full", len(found["chapters"])
    except (OSError, ValueError, KeyError, TypeError):
        return False, 0


def record(talk: Talk, setting: Setting) -> dict[str, Any]:
    """The run as plain values, from which a reader can judge it anew; a number that JSON has no word for is null."""
    return {
        "command": talk.command,
        "seed": talk.seed,
        "mode": "quick" if talk.quick else "full",
        "versions": {"mckean": setting.version, "code": setting.code, "jax": setting.jax},
        "machine": {"device": setting.device, "cores": setting.cores, "precision": setting.precision},
        "date": setting.date,
        "seconds": round(talk.seconds, 2),
        "missing": list(talk.missing),
        "level": {"talk": TALK_LEVEL, "shares": SHARES, "claim": float(LEVEL)},
        "chapters": [
            {
                "chapter": outcome.chapter.name, "title": outcome.chapter.title, "seconds": round(outcome.seconds, 2),
                "what": outcome.what, "error": outcome.error, "note": outcome.note,
            }
            for outcome in talk.outcomes
        ],
        "claims": [_claim(chapter, claim) for chapter, claim in talk.claims],
        "observations": [
            _observation(outcome.chapter, each) for outcome in talk.outcomes for each in outcome.observations
        ],
    }  # fmt: skip


def _claim(chapter: Chapter, claim: Claim) -> dict[str, Any]:
    rival = claim.excludes
    return {
        "chapter": chapter.name,
        "claim": claim.statement,
        "predicted": _finite(claim.predicted),
        "relation": claim.relation,
        "measured": _finite(claim.value),
        "stderr": _finite(claim.stderr),
        "freedom": _finite(claim.freedom),
        "skewness": _finite(claim.skewness),
        "interval": None if claim.interval is None else [_finite(end) for end in claim.interval],
        "tolerance": _finite(claim.tolerance),
        "origin": claim.origin,
        "from_run": bool(claim.from_run),
        "band": [_finite(end) for end in claim.band],
        "excludes": None if rival is None else dataclasses.asdict(rival) | {"value": _finite(rival.value)},
        "verdict": claim.verdict,
        "reference": claim.reference,
    }


def _observation(chapter: Chapter, each: Observation) -> dict[str, Any]:
    return {
        "chapter": chapter.name,
        "statement": each.statement,
        "measured": _finite(float(each.measured)),
        "stderr": _finite(getattr(each.measured, "stderr", 0.0)),
        "reference": each.reference,
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> float | None:
    """The number, or None where JSON has no word for it."""
    return float(value) if math.isfinite(float(value)) else None

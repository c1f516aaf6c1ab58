"""The report on disk: whole or not at all."""

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mckean.talk.claims import Chapter, Claim
from mckean.talk.report.page import page
from mckean.talk.report.setting import Setting
from mckean.talk.run import Talk

PAGE, CLAIMS = "report.html", "claims.json"


def prepare(folder: Path) -> None:
    """Make the folder and see that a report can be written there, before anything is run for it.

    Raises `ValueError` with the cause where it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cause = error.strerror or str(error)
        raise ValueError(f"the output folder '{folder}' cannot be written: {cause}.") from error
    for name in (PAGE, CLAIMS):
        if (folder / name).is_dir():
            raise ValueError(f"the output folder '{folder}' cannot be used: '{name}' in it is a folder.")


def write(talk: Talk, folder: Path, setting: Setting | None = None) -> Path:
    """Write `report.html` and `claims.json` into `folder` and return the path of the page.

    Both are complete before either is in place; a failure leaves the folder as it was.
    """
    folder = Path(folder)
    markup = page(talk, setting or Setting.here())
    rows = json.dumps(claim_rows(talk), indent=1, ensure_ascii=False, allow_nan=False)
    _replace({folder / PAGE: markup, folder / CLAIMS: rows + "\n"})
    return folder / PAGE


def claim_rows(talk: Talk) -> list[dict[str, Any]]:
    """The claims as plain values; a number that JSON has no word for is null."""
    return [_row(chapter, claim) for chapter, claim in talk.claims]


def _row(chapter: Chapter, claim: Claim) -> dict[str, Any]:
    return {
        "chapter": chapter.name,
        "claim": claim.statement,
        "predicted": _finite(claim.predicted),
        "relation": claim.relation,
        "measured": _finite(claim.value),
        "stderr": _finite(claim.stderr),
        "freedom": _finite(claim.freedom),
        "tolerance": _finite(claim.tolerance),
        "origin": claim.origin,
        "from_run": claim.from_run,
        "band": [_finite(end) for end in claim.band],
        "excludes": None if claim.excludes is None else dataclasses.asdict(claim.excludes),
        "verdict": claim.verdict,
        "reference": claim.reference,
    }


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(float(value)) else None


def _replace(texts: Mapping[Path, str]) -> None:
    """Put the texts in place of the files, through temporary files beside them."""
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_text(text, encoding="utf-8")
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)

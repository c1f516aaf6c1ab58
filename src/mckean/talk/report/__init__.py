"""The report: figures, tables and the page made of them. The only floor that imports matplotlib."""

from mckean.talk.report.setting import Setting
from mckean.talk.report.writing import prepare, write

__all__ = ["Setting", "prepare", "write"]

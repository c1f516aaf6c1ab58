"""The report: figures, tables and the page made of them. The only floor that imports matplotlib."""

from mckean.report.setting import Setting
from mckean.report.writing import prepare, write

__all__ = ["Setting", "prepare", "write"]

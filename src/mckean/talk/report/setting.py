"""Where and when a report was made: what a reader needs to repeat it or to doubt it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

import jax
import jax.numpy as jnp

from mckean.talk.archive import code


@dataclass(frozen=True)
class Setting:
    """The versions, the machine and the date of a report; `code` tells the version of what computes."""

    version: str
    code: str
    jax: str
    device: str
    cores: int
    precision: str
    date: str

    @classmethod
    def here(cls) -> "Setting":
        """This machine, now."""
        devices = jax.devices()
        return cls(
            version=metadata.version("mckean"),
            code=code(),
            jax=jax.__version__,
            device=f"{len(devices)} × {devices[0].device_kind}",
            cores=_cores(),
            precision=jnp.result_type(float).name,
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )


def _cores() -> int:
    """The cores this process may use, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Functions that the tests sweep, where other processes find them."""

import os
import signal

import jax

SCALE = 2.0


def scaled(K, beta):
    return {"r": SCALE * K * beta}


def deadly(K, key, folder):
    """A cell that ends its first worker; each attempt leaves a line."""
    with (folder / "runs").open("a") as file:
        file.write("run\n")
    if K == 1 and (folder / "runs").read_text() == "run\n":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"draw": jax.random.normal(key), "double": jax.config.values["jax_enable_x64"]}

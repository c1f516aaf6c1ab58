"""Examples run in one process, and each begins in JAX's own precision, whatever those before it asked for."""

import jax


def reset(gallery_conf, fname) -> None:
    """Back to single precision; an example that needs double says so itself."""
    jax.config.update("jax_enable_x64", False)

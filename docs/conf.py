"""How the pages are built: `sphinx-build -W -n docs docs/_build`. Nothing is fetched from a network.

`-D plot_gallery=0 -D nb_execution_mode=off` runs no code, and takes less than a minute.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests")]
# The kernels of the pages and the scripts of the gallery take these over.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# One process runs all of the gallery, in which runs are spread over devices too.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("JAX_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "mckean"))

project = "mckean"
author = "The mckean developers"
copyright = "The mckean developers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"]
extensions += ["mathml", "names", "indices", "reference", "generated"]
# What the gallery and the notebooks leave beside the pages.
exclude_patterns = ["_build", "_ext", "jupyter_execute", "**sg_execution_times.rst"]
exclude_patterns += [f"gallery/**.{kind}" for kind in ("ipynb", "py", "md5")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Without execution nothing says in which language the cells are.
suppress_warnings = ["config.cache", "myst-nb.lexer"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_cache_path = str(HERE / "_build" / ".cache")
nb_execution_timeout = 300
nb_execution_show_tb = True
html_math_renderer = "mathml"
highlight_language = "none"
add_module_names = False
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True

# The parts of the gallery, in this order.
PARTS = ("projects", "levels", "energy", "phases", "common_noise", "tokens", "games", "models", "practice")
sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("matplotlib", "films"),
    "doc_module": ("mckean",),
    "reference_url": {"mckean": None},
    "copyfile_regex": r".*\.rst",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "subsection_order": [f"../examples/{part}" for part in PARTS],
    "within_subsection_order": "FileNameSortKey",
    "min_reported_time": 5,
    "plot_gallery": "True",
    "reset_modules": ("matplotlib", "precision.reset"),
}

html_theme = "pydata_sphinx_theme"
html_title = "mckean"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

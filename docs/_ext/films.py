"""Films in the gallery: a .gif that a script saves stands on its page."""

import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst


def scrape(block, block_vars, gallery_conf) -> str:
    found = []
    for film in sorted(Path(block_vars["src_file"]).parent.glob("*.gif")):
        place = Path(next(block_vars["image_path_iterator"])).with_suffix(".gif")
        shutil.move(film, place)
        found.append(str(place))
    return figure_rst(found, gallery_conf["src_dir"]) if found else ""


def _get_sg_image_scraper():
    """By which sphinx-gallery finds the function, from the module's name in the configuration."""
    return scrape

"""Where the workflows lie: beside the sources, or, of an installed package, where it was installed with them."""

import sysconfig
from pathlib import Path

_SOURCES = Path(__file__).parents[3]
# What holds the Snakefile, workflow/, profiles/ and envs/.
WORKFLOWS = _SOURCES if (_SOURCES / "Snakefile").is_file() else Path(sysconfig.get_path("data")) / "share" / "manihot"

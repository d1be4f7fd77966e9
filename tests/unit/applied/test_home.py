"""Files of a model are found wherever its folder is seen from."""

import contextlib
from pathlib import Path

from manihot.applied.home import Home


def test_a_file_outside_the_models_folder_is_found_from_a_folder_beside_it(tmp_path):
    (tmp_path / "results/models/net").mkdir(parents=True)
    (tmp_path / "results/features").mkdir()
    (tmp_path / "results/features/main.npy").touch()
    (tmp_path / "results/applied/field").mkdir(parents=True)
    with contextlib.chdir(tmp_path / "results/applied/field"):
        home = Home(Path("../../models/net"), "net")
        assert home.find("results/features/main.npy", "what it knows").samefile(tmp_path / "results/features/main.npy")

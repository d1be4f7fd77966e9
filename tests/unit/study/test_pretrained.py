"""Which published weights are taken: files that are there and fit, or the package's."""

import shutil
from pathlib import Path

import pytest
import torch

from manihot.core.errors import StudyError
from manihot.networks import packages
from manihot.networks.build import published_network
from manihot.study import pretrained

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "weights"


def test_the_first_file_that_fits_its_name_is_taken(tmp_path: Path) -> None:
    torch.save(published_network("resnet18").state_dict(), tmp_path / "resnet18-f37072fd.pth")
    (tmp_path / "resnet18-aaa.pth").write_bytes(b"damaged")
    (tmp_path / "mobilenet_v2.txt").touch()
    (tmp_path / "mobilenet_v2x.pth").touch()
    start = pretrained.in_folder(tmp_path)
    assert (start.name, start.network, start.train_from) == ("resnet18", "resnet18", "layer4")
    assert start.weights == str(tmp_path / "resnet18-f37072fd.pth")


def test_files_that_do_not_fit_and_no_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no file of weights is called tf_efficientnet_lite0") as caught:
        pretrained.in_folder(tmp_path)
    assert "\n" not in str(caught.value)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "tf_efficientnet_lite0.pth")
    with pytest.raises(StudyError, match="tf_efficientnet_lite0.pth does not fit timm/tf_efficientnet_lite0"):
        pretrained.in_folder(tmp_path)
    with pytest.raises(StudyError, match="no such folder: give the folder with the files of weights as WEIGHTS"):
        pretrained.in_folder(tmp_path / "gone")


def test_the_package_or_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "out_of_reach", lambda _: "")
    assert pretrained.from_package() == (pretrained.KNOWN[0], "")
    monkeypatch.setattr(packages, "out_of_reach", lambda _: "no answer")
    assert pretrained.from_package() == (None, "no answer")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample weights at {SAMPLES}")
def test_the_sample_weights(tmp_path: Path) -> None:
    assert pretrained.in_folder(SAMPLES).network == "timm/tf_efficientnet_lite0"
    shutil.copy(SAMPLES / "mobilenet_v2-imagenet.pth", tmp_path)
    assert pretrained.in_folder(tmp_path).name == "mobilenet_v2"

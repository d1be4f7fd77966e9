"""Devices: the lease with invented ids, the fall-back, and the precision."""

import multiprocessing
import os
import threading
import time

import pytest
import torch

from manihot.core import gpus
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.networks import device

FAST = 0.02


def test_two_jobs_get_two_devices_and_a_third_waits(tmp_path):
    got = threading.Event()
    third = []

    def wait_for_one():
        with gpus.lease(["a", "b"], 1, tmp_path, FAST) as name:
            third.append(name)
            got.set()

    with gpus.lease(["a", "b"], 1, tmp_path, FAST) as first:
        with gpus.lease(["a", "b"], 1, tmp_path, FAST) as second:
            assert (first, second) == ("a", "b")
            thread = threading.Thread(target=wait_for_one)
            thread.start()
            assert not got.wait(5 * FAST)
        assert got.wait(5) and third == ["b"]
        thread.join()


def test_slots_fill_every_device_before_any_twice(tmp_path):
    held = [gpus.lease(["a", "b"], 2, tmp_path, FAST) for _ in range(4)]
    assert [lease.__enter__() for lease in held] == ["a", "b", "a", "b"]
    for lease in held:
        lease.__exit__(None, None, None)


def test_a_failed_job_gives_its_device_back(tmp_path):
    with pytest.raises(ValueError), gpus.lease(["a"], 1, tmp_path, FAST):
        raise ValueError
    with gpus.lease(["a"], 1, tmp_path, FAST) as name:
        assert name == "a"


def _hold(folder, ready):
    with gpus.lease(["a"], 1, folder):
        ready.set()
        time.sleep(60)


def test_a_killed_job_gives_its_device_back(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, 9)
    process.join()
    with gpus.lease(["a"], 1, tmp_path, FAST) as name:
        assert name == "a"


def test_without_cuda_auto_is_the_cpu_and_cuda_an_error(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level("INFO"), device.choose(Compute("auto")) as chosen:
        assert chosen == torch.device("cpu")
    assert "no CUDA device is visible" in caplog.text
    with pytest.raises(StudyError, match="set device to auto or cpu"), device.choose(Compute("cuda")):
        pass


@pytest.mark.parametrize(("visible", "expected"), [("3", 0), (None, 1), ("7,9", 1)])
def test_the_schedulers_device_is_taken_and_others_are_leased(monkeypatch, tmp_path, visible, expected):
    """One visible device is taken though leased by another; of several the free one is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "_cuda", lambda index: torch.device("cuda", index))
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(gpus.time, "sleep", lambda _: pytest.fail("waits for a device"))
    folder = tmp_path / f"manihot-devices-{os.getuid()}"
    with gpus.lease((visible or "0").split(","), 1, folder), device.choose(Compute("auto")) as chosen:
        assert chosen == torch.device("cuda", expected)


def test_precision_follows_the_hardware(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    assert device.precision("float32", cpu) == torch.float32
    assert device.precision("bfloat16", cpu) == torch.bfloat16
    for capability, expected in [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert device.precision("auto", cuda) == expected
    amd, xeon = {"avx512_bf16": True, "avx512_fp16": False}, {"avx512_bf16": True, "avx512_fp16": True}
    for capabilities, fast in [
        (amd, True),
        (xeon | {"amx_bf16": True}, True),
        (xeon | {"amx_bf16": False}, False),  # hidden by a virtual machine
        ({"avx512_bf16": False}, False),
    ]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=capabilities: known, raising=False)
        assert device.precision("auto", cpu) == (torch.bfloat16 if fast else torch.float32)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert device.precision("auto", cpu) == torch.bfloat16

"""A real Slurm of one node on the loopback device, with two devices that only count as GPUs."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = Path("/etc/slurm")
MARK = "# Written by Manihot's tests, which remove it again.\n"
# More processors and memory than there may be (config_overrides): what counts here is who gets what.
SLURM_CONF = """{mark}
ClusterName=manihot
SlurmctldHost={host}(127.0.0.1)
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:fake:2
PartitionName=main Nodes={host} Default=YES State=UP
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
GresTypes=gpu
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog.sh
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MinJobAge=3600
SchedulerParameters=sched_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
"""
# Slurm runs this before each task, in the task's environment.
PROLOG = """#!/bin/sh
echo "$SLURM_JOB_ID ${{CUDA_VISIBLE_DEVICES:-none}}" >> {folder}/devices.txt
"""


def missing() -> str | None:
    """Why no Slurm can be started here; None where it can."""
    absent = [name for name in ("slurmctld", "slurmd", "squeue", "mknod") if shutil.which(name) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)}): apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "only root can start a Slurm"
    ours = CONFIG / "slurm.conf"
    if ours.exists() and not ours.read_text().startswith(MARK):
        return f"this machine has a Slurm of its own ({ours})"
    return None


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Slurm with its state and logs in `folder`; `missing()` must have found nothing."""
    _end_stale()
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    devices = [folder / "gpu0", folder / "gpu1"]
    for device in devices:
        subprocess.run(["mknod", device, "c", "1", "3"], check=True)
    (folder / "prolog.sh").write_text(PROLOG.format(folder=folder))
    (folder / "prolog.sh").chmod(0o755)
    written = {
        CONFIG / "slurm.conf": SLURM_CONF.format(mark=MARK, host=host, folder=folder),
        CONFIG / "gres.conf": MARK + "".join(f"Name=gpu Type=fake File={device}\n" for device in devices),
    }
    try:
        for path, text in written.items():
            path.write_text(text)
        subprocess.run(["slurmctld"], check=True)
        subprocess.run(["slurmd", "-N", host], check=True)
        _wait_until_idle(folder)
        yield
    finally:
        for daemon in ("slurmd", "slurmctld"):
            _end(folder / f"{daemon}.pid")
        for path in written:
            path.unlink(missing_ok=True)


def _end_stale() -> None:
    """End the Slurm of a test that was killed."""
    left = CONFIG / "slurm.conf"
    for pid_file in re.findall("PidFile=(.+)", left.read_text() if left.exists() else ""):
        _end(Path(pid_file))


def _wait_until_idle(folder: Path) -> None:
    for _ in range(60):
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout.strip()
        if state == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"Slurm's node did not come up: {state}; see {folder}/slurmctld.log and slurmd.log")


def _end(pid_file: Path) -> None:
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, 15)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    os.kill(pid, 9)


def jobs() -> list[dict[str, str]]:
    """What the controller knows of each job, finished ones included: its fields by name."""
    shown = subprocess.run(
        ["scontrol", "--details", "--oneliner", "show", "job"], check=True, capture_output=True, text=True
    ).stdout
    return [
        dict(field.split("=", 1) for field in line.split() if "=" in field)
        for line in shown.splitlines()
        if line.startswith("JobId=")
    ]


def devices(folder: Path) -> dict[str, set[str]]:
    """CUDA_VISIBLE_DEVICES of the tasks of each job, by job id."""
    seen: dict[str, set[str]] = {}
    for line in (folder / "devices.txt").read_text().splitlines():
        job, visible = line.split()
        seen.setdefault(job, set()).add(visible)
    return seen

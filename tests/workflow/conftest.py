"""A copy of the project with a finished tiny study in it, and a way to run the engine there."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
PARTS_OF_PROJECT = ["Snakefile", "Makefile", "workflow", "src", "config", "profiles", "envs", "tests/studies"]
# An edit of a module that changes nothing but its code.
CODE = "\n\ndef added() -> int:\n    return 1\n"


@dataclass
class Project:
    """A copy of the project in a folder of its own."""

    folder: Path
    study: str = "tests/studies/tiny.yaml"

    def run(self, *arguments: str, check: bool = True, **keywords) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the project's folder; fails with what it printed."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", self.study, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **keywords)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}")
        return done

    def partial_report(self) -> None:
        """Write the report of what is there."""
        command = [sys.executable, "-m", "manihot.study.partial", self.study]
        subprocess.run(command, cwd=self.folder, env=os.environ | {"PYTHONPATH": "src"}, check=True)

    def jobs(self, *arguments: str) -> Counter[str]:
        """What a dry run would start: `rule` with its wildcards -> 1, such as `train_fold balanced 1`."""
        # The profile keeps the engine quiet; a dry run has to speak.
        triggers = ["--rerun-triggers", "mtime", "params", "input", "software-env", "--rerun-incomplete"]
        done = self.run("--dry-run", "--workflow-profile", "none", *triggers, *arguments)
        jobs: Counter[str] = Counter()
        rule = None
        for line in (done.stdout + done.stderr).splitlines():
            if match := re.fullmatch(r"(?:local)?(?:rule|checkpoint) (\w+):", line.strip()):
                if rule:
                    jobs[rule] += 1
                rule = match[1]
            elif rule and (match := re.fullmatch(r"\s+wildcards: (.*)", line)):
                values = " ".join(pair.partition("=")[2] for pair in match[1].split(", "))
                jobs[f"{rule} {values}"] += 1
                rule = None
            elif rule and not line.strip():
                jobs[rule] += 1
                rule = None
        if rule:
            jobs[rule] += 1
        jobs.pop("all", None)
        return jobs

    def rules(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule a dry run would start."""
        rules: Counter[str] = Counter()
        for job, count in self.jobs(*arguments).items():
            rules[job.split()[0]] += count
        return rules

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that must be in a file of the project."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        """Add a text to the end of a file of the project."""
        with (self.folder / path).open("a") as handle:
            handle.write(text)


def copy_project(target: Path) -> Project:
    """A copy of the project's sources, without results."""
    for part in PARTS_OF_PROJECT:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / part)
    return Project(target)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The tiny study, run whole once for all of pytest's processes; tests that change anything take `finished_copy`."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    project = Project(shared / "finished" / "project")
    with FileLock(shared / "finished.lock"):
        if not (project.folder / "results" / "report.html").exists():
            copy_project(project.folder).run()
    return project


@pytest.fixture
def finished_copy(finished, tmp_path) -> Project:
    """A copy of the finished tiny study that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path) -> Project:
    """A copy of the project without results."""
    return copy_project(tmp_path / "project")

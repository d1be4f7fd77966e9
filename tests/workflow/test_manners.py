"""How the workflow behaves as one among others: inside another one, in the engine's own report, from `make`."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT

OUTER = """
configfile: "mine.yaml"


module manihot:
    snakefile:
        "{project}/Snakefile"
    config:
        config


use rule * from manihot as leaves_*


use rule split_photos from manihot as leaves_split_photos with:
    threads: 2


rule count:
    default_target: True
    input:
        "results/splits/main.csv",
    output:
        "count.txt",
    shell:
        "wc -l < {{input}} > {{output}}"
"""


def engine(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_another_workflow_takes_it_in_as_a_module(fresh, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "Snakefile").write_text(OUTER.format(project=fresh.folder))
    study = yaml.safe_load((fresh.folder / "tests/studies/tiny.yaml").read_text())
    (outer / "mine.yaml").write_text(yaml.safe_dump(study))
    done = engine(outer)
    assert done.returncode == 0, done.stderr
    photos = study["data"]["leaves"]["photos"]
    assert int((outer / "count.txt").read_text()) > photos / 2
    assert "rule leaves_split_photos:" in done.stderr, "the outer workflow's terminal is its own"
    assert not (fresh.folder / "results").exists(), "the module's own folder is left alone"
    assert "Nothing to be done" in engine(outer).stderr
    # The study is the outer workflow's config, and a mistake in it is one line.
    (outer / "mine.yaml").write_text(yaml.safe_dump(study | {"sed": 3}))
    assert "error: config of the module: sed: unknown key; did you mean seed?" in engine(outer, "-n").stderr


def test_the_engines_own_report_has_a_front_page_captions_and_the_study(finished_copy, tmp_path):
    finished_copy.run("--report", str(tmp_path / "report.html"))
    text = html.unescape((tmp_path / "report.html").read_text())
    for said in (
        "A study of labelled leaf photos", "Tiny", "summary.csv", "report.html", "confusion/balanced.svg",
        "The study's report, in one file that opens offline", "Loss and accuracy by epoch or round",
        "An interval that holds zero cannot tell which is better", "Confusion matrices",
    ):  # fmt: skip
        assert said in text, said


def test_every_rule_says_in_a_line_what_it_does(finished):
    listed = finished.run("--list-rules").stdout.splitlines()
    assert len(listed) > 20
    for line in listed:
        assert re.fullmatch(r"\w+ \([A-Z].{15,90}\.\)", line), line


def test_make_keeps_studies_apart_by_their_folders(fresh, finished):
    """The tiny study, of which all but the report is there."""
    shutil.copy2(fresh.folder / fresh.study, fresh.folder / "a study.yaml")
    folder = fresh.folder / "runs/my study/results"
    shutil.copytree(finished.folder / "results", folder, symlinks=True)
    (folder / "report.html").unlink()
    python = fresh.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (fresh.folder / ".venv/run").write_text("\n")

    def make(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", *arguments, "STUDY=a study.yaml", "DIR=runs/my study"]
        # As from a shell: a make within another one (make test) says which folders it enters and leaves.
        shell = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(command, cwd=fresh.folder, env=shell, capture_output=True, text=True)

    done = make("report", "CORES=2")
    assert done.returncode == 0, done.stderr
    assert "build_report: done" in done.stderr and "(1 of 1" in done.stderr
    assert done.stdout.splitlines()[-1] == f"The report: {folder}/report.html"
    assert (folder / "report.html").exists() and not (fresh.folder / "results").exists()
    for target, said in (("partial-report", str(folder / "partial_report.html")), ("prune", "pruned 0 pieces")):
        done = make(target)
        assert done.returncode == 0 and said in done.stdout, done.stderr
    wrong = make("help", "TORCH=gpu")
    assert wrong.returncode and "TORCH=gpu: must be cpu or cuda" in wrong.stderr
    assert (fresh.folder / ".venv/run").exists(), "a slip of the pen costs no environment"


def test_an_old_engine_is_refused_in_words_before_anything_else_is_read():
    lines = (ROOT / "Snakefile").read_text().splitlines()
    code = [line for line in lines if line and not line.startswith(("#", "import", '"""', " "))]
    asked = code.index('min_version("9.9")')
    assert not any("manihot" in line for line in code[:asked] if line.startswith("from"))
    # These are all that older engines read without a fault: only then do they come to the line above.
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    assert set(profile) == {"rerun-triggers", "rerun-incomplete", "keep-going", "resources"}
    assert profile["resources"] == ["gpu=1"]

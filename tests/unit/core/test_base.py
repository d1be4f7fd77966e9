"""Files that appear whole, code digests that see edits and nothing else, state that survives and is checked."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from manihot.core import files
from manihot.core.digest import code_digest
from manihot.core.errors import StudyError
from manihot.core.job import Job
from manihot.core.state import State
from manihot.study import prune, settings
from manihot.study.settings import take_folder


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.csv"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_if_changed_leaves_an_equal_file_alone(tmp_path):
    target = tmp_path / "a.json"
    assert files.write_json_if_changed(target, {"a": 1})
    before = target.stat().st_mtime_ns
    assert not files.write_json_if_changed(target, {"a": 1}) and target.stat().st_mtime_ns == before
    assert files.write_json_if_changed(target, {"a": 2})


@pytest.fixture
def package(tmp_path):
    for folder in ("core", "report"):
        (tmp_path / "manihot" / folder).mkdir(parents=True)
    for name, text in {
        "one.py": "import manihot.two\n", "two.py": "from manihot import three\n", "three.py": "X = 1\n",
        "other.py": "Y = 1\n", "core/job.py": "Z = 1\n", "core/progress.py": "Z = 1\n", "report/__init__.py": "",
        "report/page.py": "A = 'style.css'\n", "report/style.css": "p {}", "report/other.css": "p {}",
    }.items():  # fmt: skip
        (tmp_path / "manihot" / name).write_text(text)
    script = tmp_path / "script.py"
    script.write_text(
        "from manihot.core import job, progress\ndef f():\n    from manihot import one\n    from manihot.report import page\n"
    )
    return tmp_path / "manihot", script


@pytest.mark.parametrize(
    "name, text, changes",
    [
        ("three.py", "X = 2\n", True),
        ("three.py", "# why\nX  =  1\n", False),
        ("three.py", '"""What it is."""\nX = 1\n', False),
        ("other.py", "Y = 2\n", False),
        ("core/job.py", "Z = 2\n", False),
        ("core/progress.py", "Z = 2\n", False),
        ("report/page.py", "A = 'other.css'\n", True),
        ("report/style.css", "p {color: red}", True),
        ("report/other.css", "p {color: red}", False),
        ("../script.py", "from manihot import one\n", True),
    ],
)
def test_a_digest_sees_what_the_script_uses(package, name, text, changes):
    folder, script = package
    before = code_digest(script, folder)
    (folder / name).write_text(text)
    assert (code_digest(script, folder) != before) is changes


def test_state_keeps_what_was_saved_and_notices_damage(tmp_path):
    with State(tmp_path, "stage", {"a": 1}, "code", "data") as state:
        state.save("checkpoint", b"half")
        assert state.load("checkpoint") == b"half" and not state.finished()
    path = state.folder / "checkpoint"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with State(tmp_path, "stage", {"a": 1}, "code", "data") as state:
        assert state.load("checkpoint") is None and not path.exists()


def test_finished_work_is_emitted_again_and_checked(tmp_path):
    with State(tmp_path, "stage", {}, "code", "data") as state:
        (state.folder / "weights").write_bytes(b"w" * 100)
        state.save("checkpoint", b"half")
        state.finish("weights", cost={"seconds": 3})
        assert not (state.folder / "checkpoint").exists()
    with State(tmp_path, "stage", {}, "code", "data") as state:
        assert state.finished() and state.emit({"weights": tmp_path / "out"}) == {"seconds": 3}
        assert (tmp_path / "out").read_bytes() == b"w" * 100
        (state.folder / "weights").write_bytes(b"w" * 99 + b"v")
        assert not state.finished(), "one flipped byte is noticed"


@pytest.mark.parametrize("stage, settings, code, data", [
    ("other", {}, "code", "data"), ("stage", {"a": 1}, "code", "data"), ("stage", {}, "x", "data"), ("stage", {}, "code", "x"),
])  # fmt: skip
def test_state_of_anything_else_is_another_state(tmp_path, stage, settings, code, data):
    assert State(tmp_path, stage, settings, code, data).key != State(tmp_path, "stage", {}, "code", "data").key


@pytest.fixture
def a_job(tmp_path, monkeypatch):
    """A job whose settings hold mappings and lists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rule.py").write_text("X = 1\n")
    settings = {"size": 32, "augment": {"rotation": 10}, "models": [{"name": "a"}]}
    record = {
        "settings": settings,
        "rule": "rule",
        "script": "rule.py",
        "code": code_digest(tmp_path / "rule.py"),
        "name": "all",
    }
    files.write_json(tmp_path / "settings.json", record)
    given = SimpleNamespace(settings=tmp_path / "settings.json")
    return Job(SimpleNamespace(input=given, rule="rule", wildcards=["all"], threads=1, scriptdir=tmp_path), sys.stderr)


def test_a_job_cannot_write_to_its_settings(a_job):
    for mapping in (a_job.settings, a_job.settings["augment"], a_job.settings["models"][0]):
        with pytest.raises(TypeError):
            mapping["size"] = 64
    assert not hasattr(a_job.settings, "pop")
    assert dict(**a_job.settings)["augment"] == {"rotation": 10}


def test_read_only_settings_address_the_work_as_plain_ones_do(a_job, tmp_path):
    def work(state):
        files.write_text(state.folder / "a.txt", "done")
        return {"photos": 1}

    a_job.once({"a.txt": tmp_path / "a.txt"}, ["data"], work, fold=1)
    plain = {"size": 32, "augment": {"rotation": 10}, "models": [{"name": "a"}], "fold": 1}
    with State("results/state", "rule", plain, a_job.code, files.content_key(["data"])) as state:
        assert state.finished() and state.label["settings"] == plain
    assert (tmp_path / "a.txt").read_text() == "done"


def test_a_second_run_in_a_folder_is_refused_and_a_killed_one_leaves_it_free(tmp_path):
    source = Path(__file__).parents[3] / "src"
    code = "import sys; from pathlib import Path; from manihot.study.settings import take_folder; take_folder(Path('r'), Path('e')); print('taken', flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(source)},
    )  # fmt: skip
    assert first.stdout.readline() == b"taken\n"
    (tmp_path / "e" / "locks").mkdir(parents=True)
    (tmp_path / "e" / "locks" / "0.input.lock").write_text("stale")
    with pytest.raises(StudyError, match=f"process {first.pid}"):
        take_folder(tmp_path / "r", tmp_path / "e")
    assert (tmp_path / "e" / "locks" / "0.input.lock").exists()
    first.kill()
    first.wait()
    take_folder(tmp_path / "r", tmp_path / "e")
    assert not (tmp_path / "e" / "locks" / "0.input.lock").exists()


def test_a_file_system_without_locks_is_not_taken_for_a_rival(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(settings.fcntl, "flock", refuse)
    (tmp_path / "e" / "locks").mkdir(parents=True)
    (tmp_path / "e" / "locks" / "0.input.lock").write_text("of somebody")
    take_folder(tmp_path / "r", tmp_path / "e")
    told = capsys.readouterr().err
    assert "has no locks (Function not implemented)" in told and str(tmp_path / "r") in told
    assert (tmp_path / "e" / "locks" / "0.input.lock").exists(), "the engine's lock is all that is left"


@pytest.mark.parametrize(
    ("arguments", "looks"),
    [
        (["-n"], True), (["--cores", "2", "-np"], True), (["--dry-run", "results/report.html"], True), (["-S"], True),
        (["--rulegraph=dot"], True), (["--report", "x.html"], True), (["--cores", "2", "--keep-going"], False),
        (["-c8", "-j4", "-p", "-k"], False), (["-call"], False), (["-junlimited", "-sSnakefile", "-Rall"], False), (["--configfile", "n.yaml"], False), (["results/summary.csv"], False),
    ],
)  # fmt: skip
def test_arguments_that_only_look_are_known(arguments, looks):
    assert settings.only_looks(arguments) == looks


def test_what_only_looks_sees_a_new_file_where_its_content_differs(tmp_path):
    results, written = tmp_path / "results", tmp_path / "elsewhere"
    for name, old, new in (("same", "a", "a"), ("other", "a", "b"), ("added", None, "c"), ("job's", "d", None)):
        for folder, text in ((results, old), (written, new)):
            if text:
                files.write_text(folder / name, text)
    seen = {
        name: settings.current(str(results / name), written, results) for name in ("same", "other", "added", "job's")
    }
    assert seen == {
        "same": str(results / "same"), "other": str(written / "other"), "added": str(written / "added"),
        "job's": str(results / "job's"),
    }  # fmt: skip


def test_prune_takes_what_no_job_would_use(tmp_path):
    def use(settings, data, job):
        with State(tmp_path / "state", "rule", settings, "code", data, job) as state:
            (state.folder / "file").write_bytes(b"x" * 10)
            state.finish("file")
        return state.folder

    files.write_json(tmp_path / "settings/rule/a.json", {"rule": "rule", "code": "code", "settings": {"a": 1}})
    old, other, new = use({"a": 1}, "old", "rule a"), use({"a": 2}, "new", "rule a"), use({"a": 1}, "new", "rule a")
    shared = use({"a": 1}, "shared", "rule b")
    with State(tmp_path / "state", "rule", {"a": 1}, "code", "shared", "rule c"):
        pass
    use({"a": 1}, "newest", "rule b")
    assert set(prune.outdated(tmp_path)) == {old, other}
    assert shared.exists() and new.exists() and prune.size(old) > 10

"""Every rule has a function that says what its jobs know, and no function is without a rule."""

import re
from dataclasses import fields
from pathlib import Path

from manihot.features import boosting
from manihot.study.jobs import RULES, all_jobs
from manihot.study.load import load
from manihot.study.plan import Plan

ROOT = Path(__file__).parents[3]
WRITTEN = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))


def test_every_rule_has_its_settings_and_no_settings_are_without_a_rule():
    written = re.findall(r"^rule (\w+):(.*?)(?=^rule |\Z)", WRITTEN, re.MULTILINE | re.DOTALL)
    asked = {rule: re.findall(r'settings_of\("(\w+)"', body) for rule, body in written}
    assert asked == {rule: [rule] for rule in asked}
    assert set(asked) == set(RULES)


def test_every_rule_of_settings_has_a_script():
    assert set(RULES) == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


def test_jobs_come_in_the_order_of_the_rules_and_the_study():
    plan = Plan(load(ROOT / "tests" / "studies" / "tiny.yaml"), ROOT)
    jobs = [(rule, name) for rule, name, _ in all_jobs(plan)]
    assert list(dict.fromkeys(rule for rule, _ in jobs)) == [rule for rule in RULES if rule in dict(jobs)]
    assert [name for rule, name in jobs if rule == "score_model"] == list(plan.models)


def test_a_job_is_told_only_what_concerns_it():
    plan = Plan(load(ROOT / "tests" / "studies" / "tiny.yaml"), ROOT)
    known = {(rule, name): set(settings) for rule, name, settings in all_jobs(plan)}
    told = {(rule, name): settings for rule, name, settings in all_jobs(plan)}
    for name in plan.of_kind("boosting"):
        assert set(told["fit_booster", name]["recipe"]) == {field.name for field in fields(boosting.Recipe)}
        # A change of the precision, which trees do not have, grows none again.
        assert set(told["fit_booster", name]["compute"]) == {"device", "gpu_slots", "threads"}
    assert all("root" not in keys for (rule, _), keys in known.items() if rule == "train_fold")

"""The report as text: complete, escaped, self-contained, and honest about what is missing."""

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import synthetic_results
from PIL import Image

from manihot.core import files
from manihot.report import (
    choice_sections,
    model_pages,
    model_sections,
    probe_sections,
    published_sections,
    run_sections,
    tables,
    thumbnails,
)
from manihot.report import page as report_page
from manihot.report.results import Results
from manihot.study import schema

PROVENANCE: dict[str, Any] = {"made": "1 January 2000", "commit": "0123abc", "versions": {"numpy": "2"}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "results"
    synthetic_results.build(folder)
    return folder


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    return build(results)


def build(results: Path, figures: Path | None = None, **changes: Any) -> str:
    output = results.parent / "report.html"
    settings = synthetic_results.settings(results) | changes
    report_page.build(results, output, settings, **PROVENANCE, figures=figures)
    return output.read_text()


def test_every_model_has_its_place(page: str) -> None:
    for name in synthetic_results.MODELS:
        assert page.count(f'id="model-{name}"') == 1


def test_nothing_is_missing_from_a_whole_study(page: str) -> None:
    assert "Not there yet" not in page


def test_charts_of_results_are_files_too(results: Path, tmp_path: Path) -> None:
    build(results, figures=tmp_path)
    charts = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/*.svg")}
    assert {f"confusion/{name}.svg" for name in synthetic_results.MODELS} <= charts
    assert {"exploration/leaves_sizes.svg", "curves/balanced.svg", "summary/models.svg"} <= charts


def test_changed_photos_are_shown_with_their_model(page: str, results: Path, tmp_path: Path) -> None:
    [sheet] = re.findall(r'<figure class="sheet">(.*?)</figure>', page, re.DOTALL)
    shown = page[page.index('id="model-new_class"') :]
    assert sheet in shown[: shown.index("</details>")]
    assert 'src="data:image/jpeg;base64,' in sheet and 'alt="Two training photos of new_class, a row each' in sheet
    assert sheet.count("flips up and down, crops") == 2
    partial = tmp_path / "results"
    shutil.copytree(results, partial)
    (partial / "training/augmented/new_class.jpg").unlink()
    assert "Not there yet: its augmented photos" in build(partial)


def test_every_change_has_a_word_in_the_report() -> None:
    assert list(model_pages.CHANGES) == list(schema.Augment.model_fields)


def test_names_are_text(page: str) -> None:
    assert page.count("<script>") == 1 and "&lt;script&gt;alert(1)" in page
    assert "<drawn>" not in page and "<b>12" not in page
    assert "=cmd().jpg" in page


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(page.encode()) < 3_000_000


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    ids = set(re.findall(r'\sid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_photos_set_aside_stand_with_their_reason(page: str) -> None:
    assert "1x1 pixels" in page and "truncated: &lt;b&gt;12" in page


def test_a_partial_study_says_what_is_missing(results: Path, tmp_path: Path) -> None:
    partial = tmp_path / "results"
    shutil.copytree(results, partial)
    shutil.rmtree(partial / "scores/balanced")
    for path in (
        *(f"models/balanced/fold{fold}/history.csv" for fold in synthetic_results.FOLDS),
        "summary.csv",
        "scores/choice/main.json",
        "catalog/needles.csv",
    ):
        (partial / path).unlink()
    page = build(partial)
    for text in (
        "its learning curves",
        "the catalog of needles has not been built",
        "no model of the split main has been chosen and tested",
    ):
        assert text in page


def cheat(page: str) -> str:
    """The section that asks whether a model could cheat."""
    [section] = re.findall(r'<section id="cheat".*?</section>', page, re.DOTALL)
    return section


def test_what_goes_with_the_label_is_said_in_words(page: str) -> None:
    section = cheat(page)
    assert 'href="#cheat"' in page and page.index('id="splits"') < page.index('id="cheat"') < page.index('id="models"')
    assert "<strong>Look closer" in section and "&lt;i&gt;Box&lt;/i&gt; camera, and none of the others" in section
    assert "With the middle 37\u00a0% of each photo masked, efficientnet_b0_head reaches" in section
    assert "hints, not verdicts" in section and "the border of a photo shows leaf too" in section
    assert section.count("were not tried") == 1, "with_new has no backbone"
    assert section.count("The photos of the new class, pinus_flexilis, come from another data set") == 1
    for key in ("facts-main", "probes-main", "facts-with_new", "probes-with_new"):
        assert f'id="table-{key}"' in section


@pytest.mark.parametrize(
    ("low", "whole", "change", "words"),
    [
        (0.60, 0.85, (-0.15, -0.21, -0.09), "about 75\u00a0% [65–85] of what whole photos gain over guessing."),
        (0.60, 0.85, (-0.01, -0.05, 0.03), "What the middle adds cannot be told apart from chance."),
        (0.20, 0.85, (-0.55, -0.70, -0.40), "it is not clearly better than guessing (25.0\u00a0%)."),
        (0.26, 0.28, (-0.01, -0.09, -0.01), "The difference is −1.0 points [−9.0 to −1.0]."),
    ],
)
def test_what_is_left_without_the_middle_in_words(
    low: float, whole: float, change: tuple[float, float, float], words: str
) -> None:
    ends = {"low": low, "high": 0.95}
    said = probe_sections._masked_in_words(
        {
            "area": 0.36,
            "head": "head",
            "masked": {"balanced_accuracy": {"value": whole + change[0], **ends}},
            "whole": {"balanced_accuracy": {"value": whole, **ends}},
            "compared": {"balanced_accuracy": dict(zip(("difference", "low", "high"), change, strict=True))},
        },
        guessing=0.25,
    )
    assert said.endswith(words)


def test_a_model_that_was_trained_on_tested_photos_does_not_stand_beside_the_probes(results: Path) -> None:
    study, models = synthetic_results.settings(results)["study"], synthetic_results.described()
    main, _ = probe_sections.probes(Results(results), models, study)
    assert f"; the best model on these photos, {synthetic_results.HEAD}, reaches" in main["headline"]
    leaking = [model | {"leak": model["name"] == synthetic_results.HEAD} for model in models]
    main, _ = probe_sections.probes(Results(results), leaking, study)
    assert "the best model on these photos" in main["headline"] and synthetic_results.HEAD not in main["headline"]


def test_where_nothing_stands_out_there_is_a_sentence_and_the_rest_is_folded(results: Path, tmp_path: Path) -> None:
    calm = tmp_path / "results"
    shutil.copytree(results, calm)
    record = files.read_json(calm / "scores/probes/main/facts.json")
    record["facts"] = [entry | {"sentence": None} for entry in record["facts"]]
    record["score"]["metrics"]["balanced_accuracy"] = {"value": 0.24, "low": 0.18, "high": 0.32}
    for split in ("main", "with_new"):
        files.write_json(calm / f"scores/probes/{split}/facts.json", record)
    section = cheat(build(calm))
    assert "<strong>" not in section and section.count("Nothing stands out") == 2
    assert section.index("<details") < section.index("<figure") and " open" not in section
    record["score"] = None
    files.write_json(calm / "scores/probes/main/facts.json", record | {"facts": [], "alike": ["camera"]})
    assert "alike in all facts about their files" in cheat(build(calm))


def test_probes_that_are_missing_are_named_in_their_place(results: Path, tmp_path: Path) -> None:
    partial = tmp_path / "results"
    shutil.copytree(results, partial)
    (partial / "scores/probes/main/masked.json").unlink()
    (partial / "scores/probes/with_new/facts.json").unlink()
    section = cheat(build(partial))
    assert "Not there yet: what photos without their middle tell in the split main." in section
    assert "Not there yet: what facts about the files tell in the split with_new." in section
    study = synthetic_results.settings(results)["study"] | {"probes": {"masked": False}}
    section = cheat(build(partial, study=study))
    assert "without their middle tell" not in section and "probes.masked</code> is false" in section


def test_sets_and_strange_photos_have_their_sections(page: str, results: Path) -> None:
    [sets] = re.findall(r'<section id="sets".*?</section>', page, re.DOTALL)
    assert 'href="#sets"' in page and "hold the true class of 90 % of the photos of each class" in sets
    assert "80\u00a0% of the new photos of a class are guaranteed" in sets and 'id="table-sets"' in sets
    [unlike] = re.findall(r'<section id="unlike".*?</section>', page, re.DOTALL)
    assert 'id="table-unlike-main"' in unlike and "The split with_new has no frozen backbone" in unlike
    assert "Not there yet: how unlike photos are in the split with_new." in build(results, references=["with_new"])


def test_where_the_networks_looked_has_its_section(page: str, results: Path, tmp_path: Path) -> None:
    [section] = re.findall(r'<section id="looked".*?</section>', page, re.DOTALL)
    assert 'href="#looked"' in page and "What such a picture does not show" in section
    # Four networks: one has no last maps, and the others have photos of three kinds.
    assert section.count("<details") == 4 and section.count('<details class="model looks" open>') == 1
    assert "Not shown: its network has no last maps" in section
    assert section.count("Most confident and wrong") == 3 and section.count("data:image/jpeg;base64,") > 3 * 8
    assert "6 × 6 places" in section and "balanced_tta (the same networks in other views)" in section
    assert "xgboost_8_refit (fitted on the whole pool" in section and "trees have no gradient" in section
    assert 'id="looked"' not in build(results, looked=[])
    partial = tmp_path / "results"
    shutil.copytree(results, partial)
    drawn = files.read_json(partial / "predictions/balanced/grad_cam.json")
    drawn["photos"][0]["silent"] = True
    files.write_json(partial / "predictions/balanced/grad_cam.json", drawn)
    (partial / "predictions/new_class/grad_cam.json").unlink()
    page = build(partial)
    assert "Not there yet: where new_class looked." in page
    assert page.count("<span>nothing in its maps speaks for the answer</span>") == 1


def test_what_more_photos_may_give_has_a_section_where_it_is_asked(page: str, results: Path) -> None:
    [section] = re.findall(r'<section id="more-photos".*?</section>', page, re.DOTALL)
    assert 'href="#more-photos"' in page and "efficientnet_b0_head reaches" in section
    assert "What the curve does not show" in section and 'id="table-more-photos-main"' in section
    assert "<svg" in section
    without = build(results, more_photos=[])
    assert "more-photos" not in without
    assert "Not there yet: what more photos may give in the split with_new." in build(results, more_photos=["with_new"])


def test_models_stand_beside_a_probe_of_the_same_photos_only(results: Path) -> None:
    models = synthetic_results.described()
    [main, _] = probe_sections.probes(Results(results), models, {})
    names = [cells[0].text for _, cells in main["models"].rows]
    assert (
        names[:3] == [probe_sections.FACTS, probe_sections.MASKED, probe_sections.WHOLE]
        and names[-1] == "majority class"
    )
    assert "efficientnet_b0_head" in names and "xgboost_8_refit" not in names, "it has nothing out of fold"
    assert len(names) == 4 + len([m for m in models if m["split"] == "main" and m["folds"] != [0]])
    record = results / "scores/balanced/validation.json"
    before = files.read_json(record)
    files.write_json(record, before | {"photos": "others"})
    [main, _] = probe_sections.probes(Results(results), models, {})
    files.write_json(record, before)
    assert "balanced" not in [cells[0].text for _, cells in main["models"].rows]


def test_a_study_without_any_result_still_gives_a_report(tmp_path: Path) -> None:
    page = build(tmp_path / "results")
    assert "Not there yet" in page and "no job has written its costs yet" in page


def test_the_published_study_has_its_sections_where_it_was_weighed(results: Path, page: str, tmp_path: Path) -> None:
    weighed = ("published/numbers.csv", "published/conclusions.json", "scores/switches.csv")
    names = ("published", "conclusions", "switches")
    assert all(f'<section id="{name}"' in page and f'href="#{name}"' in page for name in names)
    assert page.count('class="verdict ') == 10 and "Not run in this study: resnet18, alexnet" in page
    other = tmp_path / "results"
    shutil.copytree(results, other)
    for path in weighed:
        (other / path).unlink()
    page = build(other)
    assert not any(f'"{name}"' in page or f'"#{name}"' in page for name in names) and "Not there yet" not in page


def test_a_study_that_repeats_none_shows_no_paper(results: Path, page: str) -> None:
    study = synthetic_results.settings(results)["study"]
    other = build(results, study=study | {"published": None})
    for text in ('id="table-protocol"', "The two protocols", 'id="published"', 'id="conclusions"', ">Row</button>"):
        assert text in page and text not in other, text
    assert 'id="table-switches"' in page and 'id="table-switches"' in other
    for published in (None, study["published"]):
        shown = published_sections.switches(Results(results), study | {"published": published})
        assert shown is not None and {len(cells) for _, cells in shown.rows} == {len(shown.columns)}


def test_a_published_table_counts_what_it_compares(results: Path) -> None:
    table = published_sections.published(Results(results))
    assert table is not None and table["numbers"] == 132 == sum(entry["numbers"] for entry in table["tables"])
    counted = published_sections._counts(
        pd.DataFrame({"differs": [True, False, None, True], "difference_low": [0.1, -0.1, 0.1, None]})
    )
    assert (counted["compared"], counted["differ"]) == (2, 1)


def test_a_backbone_s_time_is_split(results: Path) -> None:
    found, settings = Results(results), synthetic_results.settings(results)
    scores = model_sections.Scores(pd.read_csv(results / "summary.csv"))
    shown = model_sections.backbones(found, scores, settings["models"], settings["study"])
    assert shown is not None
    spent = {column.title: cell.sort for column, cell in zip(shown.columns, shown.rows[0][1], strict=True)}
    for title, stage in (("decode", "cache_pixels"), ("forward", "extract_features"), ("fit", "fit_head")):
        expected = found.costs.loc[found.costs["stage"] == stage, "seconds"].sum()
        assert spent[f"Time: {title}"] == pytest.approx(expected)


def test_the_estimate_stands_beside_what_the_jobs_took(results: Path) -> None:
    found = Results(results)
    shown = run_sections.costs(found)
    titles = [column.title for column in shown["table"].columns]
    rows = {cells[0].text: dict(zip(titles, cells, strict=True)) for _, cells in shown["table"].rows}
    took = found.costs.loc[found.costs["stage"] == "train_fold", "seconds"].sum()
    assert rows["train_fold"]["Estimated"].sort == pytest.approx(20.0)
    assert rows["train_fold"]["Time / estimated"].sort == pytest.approx(took / 20)
    assert rows["fit_head"]["Estimated"].text == "–"
    assert shown["estimate"].startswith("20.0 s were estimated") and f"{took / 20:.2f} times" in shown["estimate"]


def test_without_an_estimate_the_costs_stand_alone(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    (tmp_path / "results/costs/estimate.json").unlink()
    assert run_sections.costs(Results(tmp_path / "results"))["estimate"] is None


def test_joined_backbones_are_named_with_the_size_and_the_time_of_each(results: Path) -> None:
    found, settings = Results(results), synthetic_results.settings(results)
    scores = model_sections.Scores(pd.read_csv(results / "summary.csv"))
    small = settings["study"]["backbones"]["efficientnet_b0"]
    known = {"efficientnet_b0": small, "large": small | {"size": 128, "weights": "imagenet"}}
    study = settings["study"] | {"backbones": known | {"both": {"join": list(known), "head": {}}}}
    models = [model | {"backbone": model["backbone"] and "both"} for model in settings["models"]]
    again = found.costs[found.costs["stage"] == "extract_features"].assign(name="large")
    found.costs = pd.concat([found.costs, again], ignore_index=True)
    shown = model_sections.backbones(found, scores, models, study)
    grown = model_sections.boosters(found, scores, models, study)
    assert shown is not None and grown is not None
    row = {column.title: cell for column, cell in zip(shown.columns, shown.rows[0][1], strict=True)}
    assert row["Backbone"].text == "efficientnet_b0 + large" and row["Weights"].text == "untrained + ImageNet"
    assert (row["Pixels"].text, row["Pixels"].sort) == ("96 + 128", 128)
    assert row["Time: forward"].sort == pytest.approx(2 * again["seconds"].sum())
    features = [column.title for column in grown["table"].columns].index("Features of")
    assert {cells[features].text for _, cells in grown["table"].rows} == {"both (efficientnet_b0 + large)"}


def test_what_a_study_does_not_show_depends_on_what_was_run(results: Path) -> None:
    settings = synthetic_results.settings(results)
    corrected = " ".join(run_sections.limits(settings, []))
    published = " ".join(run_sections.limits(settings | {"protocol": "published"}, []))
    assert "efficientnet_b0" in corrected and "are synthetic" in corrected and "one seed" in corrected
    assert "no test as found" in published and "no test as found" not in corrected


def headlines(results: Path) -> list[dict[str, Any]]:
    models = synthetic_results.described()
    return choice_sections.headlines(Results(results), models, choice_sections.choices(Results(results), models))


def test_the_headline_is_the_chosen_model_of_each_split_beside_the_majority_class(results: Path) -> None:
    said = headlines(results)
    choices = {split: files.read_json(results / f"scores/choice/{split}.json") for split in ("main", "with_new")}
    assert {entry["split"]: entry["model"] for entry in said} == {s: c["chosen"] for s, c in choices.items()}
    main, other = said
    assert main["model"] == synthetic_results.HEAD and main["baseline"] == 0.25 and main["beside"] == "clearly above"
    found = choices["main"]["out_of_fold"]
    corrected = found["corrected"]["balanced_accuracy"]["value"]
    assert f" {corrected:.3f} [" in main["corrected"]
    points = 100 * (found["own"]["balanced_accuracy"] - corrected)
    better = f"made it look better by {points:.1f} points" if points >= 0.05 else "did not make it look better"
    assert better in main["corrected"]
    assert other["sure"] == other["corrected"] == "" and "nothing was chosen" in other["chosen_how"]


def test_how_sure_the_choice_was_is_said(results: Path, page: str) -> None:
    made = files.read_json(results / "scores/choice/main.json")
    first, second = sorted(made["candidates"], key=lambda each: -each["chosen_share"])[:2]
    [main, _] = headlines(results)
    sure = f"{100 * first['chosen_share']:.0f} % of resamples of the out-of-fold photos choose it again"
    assert main["sure"] == f"{sure}, {100 * second['chosen_share']:.0f} % choose {second['model']}."
    assert main["sure"] in page and main["corrected"] in page


def test_a_model_of_one_fold_names_its_refit(results: Path) -> None:
    models = [dict(model) for model in synthetic_results.described()]
    choices = {"main": files.read_json(results / "scores/choice/main.json")}
    [chosen] = [model for model in models if model["name"] == choices["main"]["chosen"]]
    refit = {**chosen, "name": "once_more", "folds": [0], "based_on": chosen["name"]}
    [of_folds] = choice_sections.headlines(Results(results), [*models, refit], choices)
    chosen["folds"] = [2]
    [alone] = choice_sections.headlines(Results(results), models, choices)
    [of_one] = choice_sections.headlines(Results(results), [*models, refit], choices)
    assert of_folds["whole"] == alone["whole"] == ""
    assert (
        "all folds but fold 2" in of_one["whole"]
        and "once_more is fitted in the same way on the whole pool" in of_one["whole"]
    )


def test_candidates_stand_in_a_table_with_why_some_could_not_be_chosen(results: Path) -> None:
    made = files.read_json(results / "scores/choice/main.json")
    made["candidates"][0] |= {"comparable": False, "why_not": "leak", "chosen_share": None}
    scores = model_sections.Scores(Results(results).table("summary.csv"))
    [entry] = choice_sections.tables({"main": made, "empty": None}, scores)
    rows = {cells[0].text: cells for _, cells in entry["candidates"].rows}
    assert [cells[0].text for _, cells in entry["candidates"].rows][::5] == [made["chosen"], "imbalanced"]
    assert rows[made["chosen"]][0].badge == "chosen" and rows[made["chosen"]][5].text == "yes"
    assert rows["imbalanced"][5].text == "no: trained on tested photos" and rows["imbalanced"][4].text == "–"
    quoted = {cells[1].text: cells[6].text for _, cells in entry["families"].rows}
    assert quoted == {synthetic_results.HEAD: "yes", "balanced_tta": "no", "xgboost_8": "no"}
    for each in made["candidates"]:
        if each["model"] == "xgboost_8":
            each |= {"comparable": False, "why_not": "photos", "n": 1234}
    [entry] = choice_sections.tables({"main": made}, scores)
    told = {cells[1].text: (cells[2].text, cells[5].text) for _, cells in entry["families"].rows}
    assert told["xgboost_8"] == ("1,234", "no: validated on other photos") and told["balanced_tta"][1] == "yes"


def test_a_split_without_a_fair_model_has_no_headline(results: Path) -> None:
    leaking = [{**model, "leak": True} for model in synthetic_results.described()]
    none = {"chosen": None, "candidates": [], "families": {}, "out_of_fold": None, "estimate": {}}
    [said] = choice_sections.headlines(Results(results), leaking, {"main": none})
    assert said["missing"].endswith("all of them were trained on tested photos (leak)")


def test_one_model_a_split_is_called_chosen(results: Path, page: str) -> None:
    models = synthetic_results.described()
    badges = choice_sections.badges(choice_sections.choices(Results(results), models))
    best = choice_sections.BEST_OF_FAMILY
    assert badges == {
        synthetic_results.HEAD: "chosen", "new_class": "chosen", "balanced_tta": best, "xgboost_8": best,
    }  # fmt: skip
    assert len(re.findall(r'<details class="model"[^>]* open>', page)) == 2


def test_groups_leaks_and_sites_are_told(results: Path, page: str) -> None:
    record = files.read_json(results / "splits/main.json")
    assert f"The {record['given_groups']} groups that the labels give (plants, plots) are kept whole." in page
    # 40 photos of the new class are in the test of the other split beside what was asked for.
    tested = sum(count for label, count in record["counts"]["test"].items())
    assert f"{tested} photos in the test (48 were asked for) and" in page
    assert "1 photo to train on is a copy of a photo in the test: kept in training: scores are too high" in page
    assert "7 photos to train on are of one group with photos in another fold: left out of training." in page
    assert "2 photos of the new class's data set show a picture that the split's own data set has too" in page
    sites = files.read_json(results / "scores/balanced/test.json")["answers"]["calibrated"]["sites"]
    worst, text = sites[0], " ".join(page.split())
    right = f"right on {100 * worst['accuracy']['value']:.0f} % of {worst['n']}"
    assert f"Test, {worst['site']} is the worst: {right}" in text
    assert 'id="table-sites-balanced"' in page and 'id="table-things-balanced"' in page


def test_few_groups_and_sites_are_limits(results: Path) -> None:
    settings = synthetic_results.settings(results)
    said = headlines(results)
    texts = " ".join(run_sections.limits(settings, said))
    assert "One number hides the sites: on the test " in texts
    assert "groups (plants, plots)" not in texts
    few = [entry | {"groups": 7} for entry in said]
    assert "The test holds only 7 groups" in " ".join(run_sections.limits(settings, few))
    unnamed = [entry | {"given_groups": 0} for entry in few]
    assert "The test holds only" not in " ".join(run_sections.limits(settings, unnamed))


# A row of comparisons.csv on 500 photos with one seed a side, and what a case changes in it.
COMPARED = {"n": 500, "p": 0.001, "p_holm": 0.01, "seeds": 1, "folds": 0, "equivalent": 0.0}
ENDS = ("difference", "low", "high")


@pytest.mark.parametrize(
    ("ends", "changed", "words"),
    [
        ((0.10, 0.05, 0.15), {"seeds": 3}, "10.0 points better; chance would rarely do that"),
        ((-0.10, -0.15, -0.05), {"seeds": 2}, "10.0 points worse; chance would rarely do that"),
        ((-0.10, -0.15, -0.05), {}, "10.0 points worse: these two trained models"),
        ((0.10, 0.05, 0.15), {"folds": 5}, "10.0 points better: these settings, at this number of training photos"),
        (
            (0.02, -0.9, 1.0),
            {"folds": 2, "p": 0.3, "p_holm": 0.3},
            "cannot tell: from 90.0 points worse to 100.0 better; two folds tell hardly anything",
        ),
        ((0.02, -0.01, 0.05), {"p": 0.3, "p_holm": 0.3}, "cannot tell: from 1.0 points worse to 5.0 better"),
        (
            (0.04, 0.01, 0.07),
            {"p": 0.03, "p_holm": 0.09},
            "4.0 points better, but chance may, among all of the family's comparisons",
        ),
        ((0.04, 0.01, 0.07), {"p": 0.08, "p_holm": 0.09}, "4.0 points better, but chance may do that (p = 0.08)"),
        ((0.01, 0.001, 0.019), {"equivalent": 1.0}, "no difference that matters: inside ±2.5 points"),
        ((0.0, 0.0, 0.0), {"equivalent": 1.0, "p": 1.0}, "no difference that matters: inside ±2.5 points"),
        (
            (0.0, 0.0, 0.0),
            {"n": 15, "p": 1.0, "p_holm": 1.0},
            "cannot tell: right on the same photos, but 15 are too few to say more",
        ),
    ],
)
def test_a_comparison_in_words(ends: tuple[float, ...], changed: dict[str, float], words: str) -> None:
    assert model_sections.in_words(COMPARED | dict(zip(ENDS, ends, strict=True)) | changed, 2.5) == words


def test_the_family_is_blamed_only_where_the_pair_alone_would_be_clear() -> None:
    for p in (0.001, 0.02, 0.049, 0.05, 0.0501, 0.2, 1.0):
        for p_holm in (p, min(1.0, 3 * p), 1.0):
            row = COMPARED | {"difference": 0.04, "low": 0.01, "high": 0.07, "p": p, "p_holm": p_holm}
            assert ("among all" in model_sections.in_words(row, 2.0)) == (p < 0.05 <= p_holm)


def test_examples_depend_on_the_seed_alone() -> None:
    catalog = pd.DataFrame({"image_id": [f"{n}.jpg" for n in range(50)], "label": "x", "status": "ok"})
    first, again, other = (list(thumbnails.examples(catalog, "x", 4, seed)["image_id"]) for seed in (1, 1, 2))
    assert first == again != other


def test_a_thumbnail_is_small_and_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, mode in (("in/a.png", "CMYK"), ("b.png", "RGB")):
        Image.new(mode, (400, 300)).save(tmp_path / name, "TIFF")
    (tmp_path / "in/c.jpg").write_bytes(b"not a photo")
    small = thumbnails.thumbnail(tmp_path / "in", "a.png", 10**6)
    assert small and small.startswith("data:image/webp;base64,") and len(small) < 8_000
    assert thumbnails.thumbnail(tmp_path / "in", "../b.png", 10**6) is None
    assert thumbnails.thumbnail(tmp_path / "in", "c.jpg", 10**6) is None
    assert thumbnails.thumbnail(tmp_path / "in", "gone.jpg", 10**6) is None


def test_cells_sort_by_their_value() -> None:
    assert tables.count(1_234_567) == tables.Cell("1,234,567", 1_234_567)
    assert tables.interval(0.5, 0.4, 0.6) == tables.Cell("0.500", 0.5, note="0.400–0.600")
    assert tables.number(float("nan")).text == tables.interval(None, None, None).text == tables.ABSENT
    assert tables.p_value(0.0001).text == "< 0.001"
    assert tables.seconds(90) == tables.Cell("1.5 min", 90) and tables.seconds(float("nan")).text == tables.ABSENT


def test_no_heavy_import() -> None:
    text = " ".join(path.read_text() for path in (Path(report_page.__file__).parent).glob("*.py"))
    assert not re.search(r"import (torch|sklearn|xgboost)|manihot import .*\bstudy\b|manihot\.study", text)


def test_overfitting_is_measured_fold_model_by_fold_model() -> None:
    rows = [
        *(("m", part, value) for part, value in (("train", 0.99), ("validation", 0.2))),
        *((f"m/fold{fold}", "train", value) for fold, value in ((1, 0.9), (2, 0.7))),
        *((f"m/fold{fold}", "validation", value) for fold, value in ((1, 0.6), (2, 0.5))),
    ]
    table = pd.DataFrame(rows, columns=["model", "part", "balanced_accuracy"]).assign(kind="network")
    scores = model_sections.Scores(table)
    assert model_sections._overfit(scores, "m", [1, 2]) == pytest.approx((0.3 + 0.2) / 2)
    assert model_sections._overfit(scores, "m/fold1", [1, 2]) == pytest.approx(0.3)
    assert model_sections._overfit(scores, "m", [1]) == pytest.approx(0.79)
    assert model_sections._overfit(scores, "other", [1, 2]) is None


def test_what_mistakes_cost_stands_beside_the_models_where_the_study_says_it(results: Path, page: str) -> None:
    costs = synthetic_results.COSTS
    shown = model_pages.mistakes(Results(results), synthetic_results.described(), costs)
    assert shown is not None and [cells[0].text for _, cells in shown["table"].rows] == list(synthetic_results.MODELS)
    assert shown["said"] == ["3 CMD answered as 0 CBB costs 8", "0 CBB answered as 1 CBSD costs 0.5"]
    paid = files.read_json(results / "scores/balanced/test.json")["answers"]["calibrated"]["cost"]
    (row,) = (cells for _, cells in shown["table"].rows if cells[0].text == "balanced")
    assert [row[1].sort, row[2].sort] == [paid["answer"]["value"], paid["least"]["value"]]
    assert "What a mistake costs" in page
    study = synthetic_results.settings(results)["study"] | {"costs": {}}
    assert model_pages.mistakes(Results(results), synthetic_results.described(), {}) is None
    assert "What a mistake costs" not in build(results, study=study)


def test_each_model_says_how_right_it_is_where_it_is_surest(results: Path, page: str) -> None:
    assert page.count("answered (those it is surest of, of probability") == 2 * len(
        synthetic_results.MODELS
    )  # the label, the caption
    assert "Answering some of the photos: balanced, calibrated." in page


def test_the_page_says_what_the_family_is(page: str) -> None:
    [section] = re.findall(r'<section id="comparisons".*?</section>', page, re.DOTALL)
    assert "as many comparisons as the table has rows of the same family" in section
    assert "±2 points" in section

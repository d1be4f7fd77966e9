"""The study's report: one HTML file that holds everything it shows and asks nothing of the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from manihot.core import files
from manihot.report import (
    choice_sections,
    data_sections,
    external_section,
    looked_section,
    model_pages,
    model_sections,
    more_photos_section,
    probe_sections,
    published_sections,
    run_sections,
    sets_section,
)
from manihot.report.render import render
from manihot.report.results import Results
from manihot.report.thumbnails import Photos


def build(
    results: Path,
    output: Path,
    settings: Mapping[str, Any],
    *,
    made: str,
    commit: str,
    versions: Mapping[str, str],
    figures: Path | None = None,
) -> None:
    """Write the report of what lies below `results`; a result that is missing is named in its place.

    `settings` are title, description, protocol, seed, the plan's models and `trials`, the splits of `more_photos` and
    of `references`, the models that were `looked` into, data sets (with `root` and `source`) and the resolved study;
    `made` is the time and `commit` the state of the sources as the reader sees them.
    Charts of results are also written as SVG files below `figures`, where it is given.
    """
    found = Results(results)
    shown = {**contents(found, settings), "made": made, "commit": commit, "versions": versions}
    page = render("template.html", "script.js", shown)
    if figures is not None:
        for path, text in found.figures.items():
            files.write_text(figures / path, text)
    files.write_text(output, page)


def contents(results: Results, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template shows of the results and the study, section by section."""
    study, models = settings["study"], settings["models"]
    roots = {name: entry["root"] for name, entry in settings["datasets"].items()}
    photos = Photos(roots, study["photos"]["max_pixels"])
    scores = model_sections.Scores(results.table("summary.csv"))
    choices = choice_sections.choices(results, models)
    badges = choice_sections.badges(choices)
    said = choice_sections.headlines(results, models, choices)
    return {
        "settings": settings,
        "headlines": said,
        "choices": choice_sections.tables(choices, scores),
        "overview": run_sections.overview(results, settings),
        "limits": run_sections.limits(settings, said),
        "datasets": [
            data_sections.exploration(results, photos, name, entry["source"], settings["seed"])
            for name, entry in settings["datasets"].items()
        ],
        "set_aside": data_sections.set_aside(results, settings["datasets"]),
        "splits": [
            data_sections.split(results, photos, name) for name in dict.fromkeys(model["split"] for model in models)
        ],
        "probes": probe_sections.probes(results, models, study),
        "models_figure": model_sections.models_chart(results),
        "models_table": model_sections.all_models(scores, models, badges),
        "mistakes": model_pages.mistakes(results, models, study["costs"]),
        "comparisons_figure": model_sections.comparisons_chart(results),
        "comparisons": model_sections.compared(results.table("scores/comparisons.csv"), study["equivalence_margin"]),
        "more_photos": more_photos_section.more_photos(results, settings["more_photos"]),
        "augmented": model_sections.augmented(results, scores, models),
        "pages": [model_pages.page(results, photos, scores, model, badges, study["experiments"]) for model in models],
        "looked": looked_section.looked(results, settings["looked"], models, badges),
        "overfit": model_pages.overfit(results, study.get("overfit", {})),
        "backbones": model_sections.backbones(results, scores, models, study),
        "boosters": model_sections.boosters(results, scores, models, study),
        "new_class": model_pages.new_class(results, models),
        "sets": sets_section.sets(results, models, badges),
        "unlike": sets_section.unlike(results, settings["references"], models),
        "external": external_section.external(results, settings["trials"], badges),
        "external_body": external_section.BODY,
        "published": published_sections.published(results) if study["published"] else None,
        "conclusions": published_sections.conclusions(results, study) if study["published"] else None,
        "switches": published_sections.switches(results, study),
        "costs": run_sections.costs(results),
        "study_text": yaml.safe_dump(files.plain(study), sort_keys=False, allow_unicode=True, width=100),
        "protocol_table": published_sections.protocol(study),
    }

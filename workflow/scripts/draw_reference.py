"""Draw a split's reference photos, and try on noise, textures and other photos whether they are told from its own."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.applied import strange, unlike
    from manihot.applied.backbones import load_backbone
    from manihot.applied.home import Home
    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.tables import locate, read_catalogs, read_photos
    from manihot.features import table
    from manihot.scores import strangers

    given, seed, other = snakemake.input, run.settings["seed"], run.settings["strange"]
    split = read_photos(given.split).drop(columns="group")
    split["group"] = locate(split, read_catalogs(given.catalogs), ["group"])["group"]
    split["code"] = split.groupby(["dataset", "group"]).ngroup()
    pool, tests = split[split["role"] == "pool"], split[split["role"].isin(["test", "test_as_found"])]
    pool = pool.iloc[unlike.draw(pool, seed)]
    reference = unlike.Reference.of(table.select(given.features, pool), pool["code"].to_numpy())
    (record,) = table.backbones(given.features)
    reference.write(snakemake.output.reference, pool, record, seed)
    # Files in records are as seen from the folder of the run.
    backbone = load_backbone(record, Home(Path("results/features/unlike"), "none"))
    size, batch = backbone.seen.size, other["batch_size"]
    kinds = {kind: strange.drawn(kind, size, seed) for kind in strange.KINDS}
    for path in given.strangers:
        photos = read_photos(path).query("status == 'ok'")
        photos = photos.iloc[unlike.draw(photos, seed, strange.PHOTOS)]
        paths = [Path(other["root"], name) for name in photos["image_id"]]
        opened = strange.opened(paths, backbone.seen, batch, snakemake.threads, other["max_pixels"])
        kinds |= {f"photos of {photos['dataset'].iloc[0]}": opened}
    found = strange.how_unlike(reference, backbone, kinds, batch, Compute(**run.settings["compute"]))
    own = reference.unlike(table.select(given.features, tests))
    told = {"network": record["network"], "reference": len(pool), **strangers.weigh(own, tests["code"], found)}
    files.write_json(snakemake.output.told, told)
    run.cost |= {"photos": len(pool) + len(tests) + sum(map(len, found.values()))}

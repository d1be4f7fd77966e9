"""The command `manihot` of an installed package: `manihot predict` and others are what `make` calls."""

import importlib
import sys

COMMANDS = {
    "study": ("manihot.study.onboard", "look at a photo folder and write a study file for it"),
    "predict": ("manihot.study.predict", "answer the photos of a folder with a model of a study"),
    "evaluate": ("manihot.study.evaluate", "hold a model of a study against the labels of photos of others"),
    "export": ("manihot.study.export", "make a model of a study a folder that works without it"),
    "app": ("manihot.study.app", "make a page that runs a model of a study in a browser"),
}


def main() -> int:
    """Hand the command line on to the command that it names; 2 where it names none."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        known = "\n".join(f"  manihot {command:9} {what}" for command, (_, what) in COMMANDS.items())
        print(f"usage: manihot COMMAND …, of which\n{known}\n--help after one of them says more", file=sys.stderr)
        return 0 if name in {"-h", "--help"} else 2
    module = importlib.import_module(COMMANDS[name][0])
    sys.argv[:] = [f"manihot {name}", *sys.argv[2:]]
    return int(module.main())


if __name__ == "__main__":
    sys.exit(main())

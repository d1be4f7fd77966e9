"""The order of the tests, for processes that share them."""

import pytest

# Of the tests of the workflow; the longest first. Files that are not named come last.
ORDER = [
    "test_studies.py",
    "test_own_photos.py",
    "test_reruns.py",
    "test_runs.py",
    "test_faults.py",
    "test_manners.py",
    "test_predict.py",
    "test_export.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, beside the unit tests; then what else runs the engine, the longest first.

    Two files that each run the whole engine would only be in each other's way.
    """

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        rank = ORDER.index(item.path.name) if item.path.name in ORDER else len(ORDER)
        return rank > 0, item.path.parent.name == "workflow", rank

    items.sort(key=place)

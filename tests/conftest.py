"""The order of the tests, for processes that share them."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, beside the unit tests; what else keeps all cores busy comes last.

    Two files that each run the whole engine would only be in each other's way.
    """
    items.sort(key=lambda item: (item.path.name != "test_studies.py", item.path.parent.name == "workflow"))

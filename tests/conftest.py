"""The order of the tests, for processes that share them."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a process that is left with one of them at the end would keep all waiting."""
    items.sort(key=lambda item: (item.path.name != "test_studies.py", item.path.parent.name != "workflow"))

"""The sizes of maps, poolings and seeds that a block is tried on."""

from hypothesis import strategies as st

SHAPES = {
    "height": st.integers(4, 13),
    "width": st.integers(4, 13),
    "pooling": st.sampled_from([2, 3, 4]),
    "seed": st.integers(0, 1000),
}

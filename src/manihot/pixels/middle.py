"""The middle of a photo that a probe masks, to see what the rest of it tells; the standard library only."""

SIDE = 0.6  # of the masked square, as a share of the photo's side


def middle(size: int) -> slice:
    """The rows, and the columns, of the middle of a square photo of `size` pixels a side."""
    side = round(SIDE * size)
    start = (size - side) // 2
    return slice(start, start + side)


def area(size: int) -> float:
    """The share of the area that the middle has in a square photo of `size` pixels a side; about `SIDE` squared."""
    square = middle(size)
    return ((square.stop - square.start) / size) ** 2

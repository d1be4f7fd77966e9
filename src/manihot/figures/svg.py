"""The look of the charts, and Matplotlib's SVG made small, titled and fit to share a page."""

import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))

# Each colour is used by one name only; blue and orange differ for every kind of colour vision.
PALETTE = {
    "surface": "#fffffe", "ink": "#1d2721", "muted": "#5d6a62", "grid": "#dfe5e1",
    "first": "#2a6fb0", "second": "#c9591b", "third": "#2f7d50", "heat": "#1f5f9e",
}  # fmt: skip
WIDTH = 7.6
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "manihot", "text.parse_math": False,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 8,
    "axes.titlesize": 8, "axes.titlelocation": "left", "axes.titlecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["muted"], "axes.edgecolor": PALETTE["muted"], "axes.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.facecolor": "none",
    "figure.facecolor": PALETTE["surface"], "figure.titlesize": 9.5, "figure.titleweight": "bold",
    "figure.constrained_layout.use": True, "figure.constrained_layout.w_pad": 0.1,
    "grid.color": PALETTE["grid"], "grid.linewidth": 0.6, "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["muted"], "ytick.color": PALETTE["muted"], "xtick.major.size": 2.5,
    "ytick.major.size": 0, "xtick.labelcolor": PALETTE["ink"], "ytick.labelcolor": PALETTE["ink"],
    "xtick.major.width": 0.6, "legend.frameon": False, "legend.fontsize": 8,
    "savefig.facecolor": PALETTE["surface"],
}  # fmt: skip

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """An empty figure in the charts' style; width and height in inches."""
    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=(width, height))


def themed(text: str) -> str:
    """The SVG with the colours of `PALETTE` as CSS variables `--figure-…`, for a page that defines them."""
    for name, color in PALETTE.items():
        text = text.replace(color, f"var(--figure-{name})")
    return text


def render(figure: Figure, title: str, description: str) -> str:
    """The figure as one line of SVG whose `<title>` and `<desc>` are its text alternative.

    Coordinates keep two decimals (1/7200 inch). Ids that nothing refers to are dropped, the others
    are made unique to this title, so that several figures can stand in one page.
    """
    figure.suptitle(title, x=0.008, ha="left")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=METADATA)
    root = ElementTree.fromstring(buffer.getvalue())
    _drop(root, f"{{{SVG}}}metadata", f"{{{SVG}}}style")
    prefix = f"f{hashlib.sha256(title.encode()).hexdigest()[:6]}-"
    referred = set(re.findall(r"#(\w+)", buffer.getvalue()))
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id" and value not in referred:
                del element.attrib[name]
            else:
                element.set(name, _attribute(name, value, prefix))
        if element.tag != f"{{{SVG}}}text":
            element.text = None
        element.tail = None
    _unwrap(root)
    for name, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(f"{{{SVG}}}{name}")
        element.text = text
        root.insert(0, element)
    root.attrib |= {"role": "img", "style": f"stroke-linejoin:round;stroke-linecap:butt;font-family:{FONT}"}
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def bare(text: str) -> str:
    """The SVG without title and description, for a page that says them in its own words beside it."""
    return re.sub(r"<(title|desc)>.*?</\1>", "", text, flags=re.DOTALL)


def text_alternative(svg: str) -> tuple[str, str]:
    """Title and description of an SVG that `render` made (empty where it has none)."""
    root = ElementTree.fromstring(svg)
    return root.findtext(f"{{{SVG}}}title") or "", root.findtext(f"{{{SVG}}}desc") or ""


def _attribute(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    value = re.sub(r"#([mp][0-9a-f]{10})\b", rf"#{prefix}\1", value)
    value = re.sub(r"font-family:[^;]*;? ?", "", value)
    value = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
    value = re.sub(r"\s+", " ", value).strip()
    return re.sub(r"([;:]) ", r"\1", value) if name == "style" else value


def _drop(root: ElementTree.Element, *tags: str) -> None:
    for parent in root.iter():
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _unwrap(element: ElementTree.Element) -> None:
    """Replace groups that say nothing by their children, and drop empty ones."""
    children: list[ElementTree.Element] = []
    for child in list(element):
        _unwrap(child)
        if (
            child.tag in (f"{{{SVG}}}g", f"{{{SVG}}}defs")
            and not child.attrib
            and (child.tag.endswith("}g") or not len(child))
        ):
            children += list(child)
        else:
            if child.get("transform", "").startswith("rotate(-0 "):
                del child.attrib["transform"]
            children.append(child)
    element[:] = children

"""Charts of how a model was fitted: by epochs or rounds, or by the penalties that were tried."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import MaxNLocator

from manihot.figures.svg import PALETTE, canvas, render


def curves(histories: Mapping[int, pd.DataFrame], experiment: str) -> str:
    """Loss and accuracy by epoch (or round) of every fold, training against validation; means are bold."""
    steps = next(iter(histories.values())).columns[0]
    series = {"training": "train", "validation": "validation"}
    with canvas(2.7) as figure:
        panels = figure.subplots(1, 2)
        for axes, measure in zip(panels, ("loss", "accuracy"), strict=True):
            for (title, prefix), color in zip(series.items(), (PALETTE["first"], PALETTE["second"]), strict=True):
                column = f"{prefix}_{measure}"
                tables = [table.dropna(subset=[column]) for table in histories.values() if column in table]
                for table in tables:
                    axes.plot(table[steps], table[column], color=color, lw=0.7, alpha=0.45)
                if any(len(table) for table in tables):
                    mean = pd.concat(tables).groupby(steps)[column].mean()
                    axes.plot(mean.index, mean, color=color, lw=1.8, label=title)
            axes.set(
                xlabel=steps,
                ylabel=f"{measure}{' (cross-entropy, nats)' if measure == 'loss' else ' (share right)'}",
            )
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.grid(True)
            axes.set_ylim(0, 1.02) if measure == "accuracy" else axes.set_ylim(bottom=0)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        last = pd.concat([table.tail(1) for table in histories.values()]).mean(numeric_only=True)
        ends = ", ".join(
            f"{title} loss {last[f'{prefix}_loss']:.3f} and accuracy {last[f'{prefix}_accuracy']:.3f}"
            for title, prefix in series.items()
            if pd.notna(last.get(f"{prefix}_loss"))
        )
        folds = f"{len(histories)} folds (thin) and their mean (bold). " if len(histories) > 1 else ""
        return render(
            figure,
            f"Learning curves: {experiment}",
            f"{folds}After the last {steps} ({int(last[steps])}): {ends}.",
        )


def penalties(histories: Mapping[int, pd.DataFrame], model: str) -> str:
    """Log loss on inner folds against C, the inverse of the L2 penalty, of every fold; a dot marks what was chosen."""
    with canvas(2.7) as figure:
        axes = figure.subplots()
        for table in histories.values():
            chosen = table.loc[table["inner_loss"].idxmin()]
            axes.plot(table["C"], table["inner_loss"], color=PALETTE["second"], lw=1.0, alpha=0.6)
            axes.plot(chosen["C"], chosen["inner_loss"], "o", color=PALETTE["second"], ms=4)
        axes.set_xscale("log")
        axes.set(xlabel="C (inverse of the penalty)", ylabel="log loss on inner folds (nats)")
        axes.grid(True)
        best = pd.DataFrame([table.loc[table["inner_loss"].idxmin()] for table in histories.values()])
        low, high = best["C"].min(), best["C"].max()
        taken = f"C {low:g}" if low == high else f"C from {low:g} to {high:g}"
        return render(
            figure,
            f"Choice of the penalty: {model}",
            f"Of {len(histories)} fold(s), a line each: {taken} was chosen, with a log loss of "
            f"{best['inner_loss'].mean():.3f} on inner folds of the training photos.",
        )

"""What was measured, as numbers and as words: medians of rounds, ratios, tables, and what is below its floor."""

from dataclasses import dataclass, field
from statistics import median


def spread(values):
    """From the least to the most, as a share of the median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def with_spread(values, form="{:,.0f}"):
    """The median as a person reads it, and how far the rounds lie apart: `11,100 ±4 %`, half the spread each way."""
    return f"{form.format(median(values))} ±{spread(values) * 50:.0f} %"


def ratio(ours, theirs):
    """The median of what stood side by side in each round, since both had the same weather there."""
    return median(one / other for one, other in zip(ours, theirs, strict=True) if other)


@dataclass
class Table:
    """Rows of text under `heads`. `note` says what the reader has to know of it."""

    title: str
    heads: list
    rows: list = field(default_factory=list)
    note: str = ""

    def markdown(self):
        lines = [f"### {self.title}", ""]
        lines += ["| " + " | ".join(self.heads) + " |", "|" + "---|" * len(self.heads)]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in self.rows]
        return "\n".join(lines + (["", self.note] if self.note else []))

    def plain(self):
        columns = list(zip(*[self.heads, *self.rows], strict=True))
        widths = [max(len(str(cell)) for cell in column) for column in columns]
        lines = [self.title]
        for row in [self.heads, *self.rows]:
            lines.append("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))


@dataclass(frozen=True)
class Floor:
    """What a figure has to reach, or with `at_most` not to pass."""

    what: str
    value: float
    bound: float
    unit: str = ""
    at_most: bool = False

    @property
    def held(self):
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def label(self):
        return f"{self.what}: {self.value:,.2f}{self.unit}, floor {self.bound:,.2f}{self.unit} {'at most' if self.at_most else 'at least'}"


@dataclass
class Section:
    """What one part of the bench found. `samples` are all rounds of each figure, for the JSON file."""

    name: str
    tables: list = field(default_factory=list)
    floors: list = field(default_factory=list)
    samples: dict = field(default_factory=dict)

"""Raw series to a rule's series, for rules without PromQL: select, rate, quantile, group, ratio."""

from aiopsd.transforms.selection import Agg, As, Selection, compile_selection
from aiopsd.transforms.transforms import Transforms
from aiopsd.transforms.unruled import BUILT_IN, PREFIX, BuiltIn, Unruled

__all__ = [
    "BUILT_IN",
    "PREFIX",
    "Agg",
    "As",
    "BuiltIn",
    "Selection",
    "Transforms",
    "Unruled",
    "compile_selection",
]

"""Raw series to a rule's series, for rules without PromQL: select, rate, quantile, group, ratio."""

from aiopsd.transforms.selection import Agg, As, Selection, compile_selection
from aiopsd.transforms.transforms import Transforms

__all__ = ["Agg", "As", "Selection", "Transforms", "compile_selection"]

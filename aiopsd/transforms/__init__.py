"""Raw samples to a rule's series, where there is no PromQL: ``select/as/by/over``."""

from aiopsd.transforms.selection import Agg, As, Selection, compile_selection
from aiopsd.transforms.streams import Transforms

__all__ = ["Agg", "As", "Selection", "Transforms", "compile_selection"]

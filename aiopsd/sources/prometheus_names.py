"""One rule's series, known by their names: labels are decoded once, when a series is new."""

from __future__ import annotations

import numpy as np

from aiopsd.contracts import Query, Series
from aiopsd.keys import UNKNOWN
from aiopsd.model import Indexes
from aiopsd.sources.prometheus_api import labels_of


class Names:
    """From the names in an answer to indexes in the series table."""

    def __init__(self, table: Series, query: Query) -> None:
        self._table = table
        self._query = query
        self._keys = table.keys(query.rule)

    def find(self, names: list[bytes]) -> Indexes:
        """The index of each; negative where the table is full. Of the labels of a new series only
        those of ``keep`` count. Raises Unreachable where a name holds no labels.
        """
        found = self._keys.find(names)
        new = np.flatnonzero(found == UNKNOWN)
        if len(new):
            fresh, keep = [names[at] for at in new.tolist()], self._query.keep
            labels = labels_of(fresh)
            if keep:
                labels = [{name: one[name] for name in keep if name in one} for one in labels]
            indexes = [self._table.intern(self._query.rule, one) for one in labels]
            self._keys.learn(fresh, indexes)
            found[new] = indexes
        return found

"""The graph checker: types, effects and policies of a whole graph (`types.md` §7, §8).

It stands above the rest of `types`, because it knows graphs and stages.
"""

from noether_runner.types.check.graph_types import Checked, check_graph
from noether_runner.types.check.texts import finding_text, write_finding

__all__ = ["Checked", "check_graph", "finding_text", "write_finding"]

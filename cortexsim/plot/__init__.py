"""Pictures of results: each function draws with matplotlib's objects and returns the Figure it drew on.

Each takes Axes of your own as `ax`; made within `styled()`, they have the package's style in full.
"""

from cortexsim.plot.activity import activity, traces
from cortexsim.plot.cortex_map import cortex_map
from cortexsim.plot.hierarchy import hierarchy
from cortexsim.plot.matrix import matrix
from cortexsim.plot.style import styled
from cortexsim.plot.summary import summary

__all__ = ["activity", "cortex_map", "hierarchy", "matrix", "styled", "summary", "traces"]

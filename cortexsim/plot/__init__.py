"""Pictures of results: each function draws with matplotlib's objects and returns the Figure it drew on."""

from cortexsim.plot.activity import activity, traces
from cortexsim.plot.cortex_map import cortex_map
from cortexsim.plot.hierarchy import hierarchy
from cortexsim.plot.summary import summary

__all__ = ["activity", "cortex_map", "hierarchy", "summary", "traces"]

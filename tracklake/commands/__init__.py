"""The commands of `tracklake`, by what they are for: ask, judge, watch, say, keep."""

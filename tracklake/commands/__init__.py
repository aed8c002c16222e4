"""The commands of `tracklake`, by what they are for: ask, say, keep."""

"""Importers: what other tools left behind becomes runs of a lake, straight into partitions."""

from __future__ import annotations

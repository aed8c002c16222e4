"""W&B's names over a lake: what `import tracklake as wandb` finds, and the module tree that `import wandb` sees.

`tracklake wrap COMMAND` puts a package called `wandb` first on the path of the command; `%load_ext tracklake` does so
in a notebook. Every public name of wandb 0.31 is there; `names` says of each what it does.

- `current_run`: functions of the module that are methods of the current run.
- `launcher`: runs a command with the stand-in first on its path.
- `modules`: the module tree of wandb, each module made of names that are resolved when they are looked at.
- `names`: every public name of wandb 0.31, and what it does here.
- `offline`: what needs a server or an account: accepted with one warning, or refused with the way out.
- `page`: the page of the documents that lists every name.
- `shims`: small things of W&B's inner modules that other libraries touch.
- `start`: `wandb.init` as W&B has it: its folder is not the lake, and a second call returns the current run.
"""

from __future__ import annotations

__all__ = ["launcher", "names", "offline"]

"""The workloads on wandb, offline: it writes; there is nothing in it that reads what it wrote."""

from __future__ import annotations


def start(folder, *, number, config):
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, disable_git=True)
    return wandb.init(
        project="bench", id=f"run-{number:04d}", config=config, dir=str(folder), mode="offline", settings=settings
    )


def log(run, row):
    run.log(row)


def finish(run):
    run.finish()


def settle(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.wandb"))

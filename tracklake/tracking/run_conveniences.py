"""What W&B's runs have beyond logging: watching, alerts, and facts about the run; a part of `Run`."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.warnings import warn, warn_once
from tracklake.schema import values
from tracklake.schema.statement_kind import StatementKind
from tracklake.tracking.settings import Settings
from tracklake.tracking.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.storage.backend import Storage
    from tracklake.tracking.run_config import Config
    from tracklake.tracking.session import Session

PREEMPTING = "preempting"
"""The key of the metadata that says that a run is about to be preempted, and is to be taken up again."""


class Beginning(NamedTuple):
    """How this session of the run began."""

    resumed: bool = False
    step: int = 0
    mode: str = "online"
    sweep_id: str | None = None
    settings: Settings = Settings()
    time: float = 0.0
    """Seconds since the epoch."""


class RunConveniences:
    """Watching, alerts, and facts about the run."""

    _session: Session
    beginning: Beginning
    config: Config
    _watches: list[Watch]

    @property
    def storage(self) -> Storage:
        """The files of its lake.

        >>> with tl.init() as run:
        ...     run.storage.location
        PosixPath('lake')
        """
        return self._session.storage

    @property
    def resumed(self) -> bool:
        """Whether this session goes on with a run that was there.

        >>> with tl.init(id="r1") as run:
        ...     run.resumed
        False
        >>> with tl.init(id="r1", resume="allow") as run:
        ...     run.resumed
        True
        """
        return self.beginning.resumed

    @property
    def starting_step(self) -> int:
        """The step at which this session began.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run.starting_step
        0
        """
        return self.beginning.step

    @property
    def start_time(self) -> float:
        """When this session began, in seconds since the epoch.

        >>> with tl.init() as run:
        ...     run.start_time > 1e9
        True
        """
        return self.beginning.time

    @property
    def sweep_id(self) -> str | None:
        """The sweep that it is a trial of; None if it is of none.

        >>> with tl.init() as run:
        ...     run.sweep_id
        """
        return self.beginning.sweep_id

    @property
    def settings(self) -> Settings:
        """The settings that `init` was given.

        >>> with tl.init(settings={"metadata": False}) as run:
        ...     run.settings.metadata
        False
        """
        return self.beginning.settings

    @property
    def disabled(self) -> bool:
        """Whether it logs into a folder that is thrown away.

        >>> with tl.init(mode="disabled") as run:
        ...     run.disabled
        True
        """
        return self.beginning.mode == "disabled"

    @property
    def offline(self) -> bool:
        """Always True: there is no server.

        >>> with tl.init() as run:
        ...     run.offline
        True
        """
        return True

    def alert(
        self,
        title: str,
        text: str = "",
        level: object = None,
        wait_duration: object = None,  # noqa: ARG002 - as W&B
    ) -> None:
        """Warn, and note the alert in the run's metadata: nobody is sent a message. `level` is INFO, WARN or ERROR.

        >>> import warnings
        >>> with warnings.catch_warnings(record=True, action="always") as shown, tl.init(id="r1") as run:
        ...     run.alert("diverged", "loss is NaN", level="ERROR")
        >>> str(shown[0].message), tl.open().run("r1").metadata["alerts"]["diverged"]["text"]
        ('tracklake: alert ERROR of run r1: diverged: loss is NaN', 'loss is NaN')
        """
        word = str(getattr(level, "value", level) or "INFO")
        warn(f"tracklake: alert {word} of run {self._session.run_id}: {title}{f': {text}' if text else ''}")
        entry = {"text": str(text), "level": word, "time": time.time()}
        self.note(f"alerts.{str(title).replace('.', ' ')}", entry)

    def mark_preempting(self) -> None:
        """Note that the machine takes this run away soon: an agent of its sweep goes on with it if it ends unfinished.

        Whether it is killed or fails; the mark is taken back when the next attempt begins.

        >>> with tl.init(id="r1") as run:
        ...     run.mark_preempting()
        >>> tl.open().run("r1").metadata["preempting"]
        True
        """
        self.note(PREEMPTING, value=True)

    def watch(
        self,
        models: Any,
        criterion: Any = None,  # noqa: ARG002 - as W&B
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,  # noqa: FBT001, FBT002 - as W&B
    ) -> None:
        """Log histograms of gradients and parameters of torch modules, every `log_freq` backward passes.

        `log` is "gradients", "parameters", "all" or None. The metrics are `gradients/<name>` and `parameters/<name>`,
        in the row that is open then. The graph is not drawn.

        >>> with tl.init() as run:
        ...     run.watch([], log="all")
        """
        if log_graph:
            warn_once("watch log_graph", "tracklake: watch(log_graph=True) means nothing: the graph is not drawn")
        modules: Sequence[Any] = models if isinstance(models, list | tuple) else [models]
        start = len(self._watches) if idx is None else idx
        for i, module in enumerate(modules, start):
            prefix = f"graph_{i}." if i else ""
            self._watches.append(Watch(self, module, what=log, every=log_freq, prefix=prefix))

    def unwatch(self, models: Any = None) -> None:
        """Stop what `watch` began, for these modules or all.

        >>> with tl.init() as run:
        ...     run.unwatch()
        """
        modules = models if isinstance(models, list | tuple | None) else [models]
        for watch in self._watches.copy():
            if modules is None or any(watch.module is module for module in modules):
                watch.end()
                self._watches.remove(watch)

    @property
    def sweep_url(self) -> str | None:
        """Where the sweep's lake lies; None if it is a trial of none.

        >>> with tl.init() as run:
        ...     run.sweep_url
        """
        return self.sync_dir if self.sweep_id else None

    @property
    def sync_dir(self) -> str:
        """The folder of the lake, absolute.

        >>> with tl.init() as run:
        ...     run.sync_dir
        '/.../lake'
        """
        return str(self._session.storage.root)

    @property
    def config_static(self) -> dict[str, Any]:
        """A copy of the config as a plain nested dict.

        >>> with tl.init(config={"lr": 0.1}) as run:
        ...     run.config_static
        {'lr': 0.1}
        """
        return self.config.as_dict()

    def display(self, *_: object, **__: object) -> bool:
        """Show nothing and return False: `tracklake ui` shows runs.

        >>> with tl.init() as run:
        ...     run.display()
        False
        """
        warn_once("display", "tracklake: run.display() shows nothing; `tracklake ui` shows runs")
        return False

    def to_html(self, *_: object, **__: object) -> str:
        """Return a link to the lake.

        >>> with tl.init(id="r1") as run:
        ...     run.to_html()
        '<a href="file:///.../lake">run r1</a>'
        """
        return f'<a href="{self._session.storage.uri()}">run {html.escape(self._session.run_id)}</a>'

    def status(self) -> dict[str, bool]:
        """Return that nothing waits to be sent.

        >>> with tl.init() as run:
        ...     run.status()
        {'sync_items_pending': False}
        """
        return {"sync_items_pending": False}

    def pin_config_keys(self, *_: object, **__: object) -> None:
        """Do nothing but say so once: there is no page whose columns could be pinned.

        >>> with tl.init() as run:
        ...     run.pin_config_keys(["lr"])
        """
        warn_once("pin_config_keys", "tracklake: run.pin_config_keys() means nothing; lake.ui() chooses columns")

    def _label(self, *_: object, **__: object) -> None:
        """Do nothing: libraries label runs by their code for a server."""

    @property
    def _attach_id(self) -> str:
        """The id by which another process joins it; Lightning asks for it."""
        return self._session.run_id

    def write_logs(self, *_: object, **__: object) -> None:
        """Do nothing but say so once: the console is not captured.

        >>> with tl.init() as run:
        ...     run.write_logs("done")
        """
        warn_once("write_logs", "tracklake: run.write_logs() stores nothing; run.save(path) keeps a file of logs")

    def note(self, key: str, value: object) -> None:
        """Note something in the run's metadata.

        >>> with tl.init(id="r1") as run:
        ...     run.note("cluster", "a100")
        >>> tl.open().run("r1").metadata["cluster"]
        'a100'
        """
        self._session.append_statements([(StatementKind.METADATA, key, values.store_exact(value, name=key))])

"""Every public name of wandb 0.31 exists, and the page of the documents says what it does."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import wandb_0_31

import tracklake as tl
from tracklake.integrations.wandb_api.api import OF_A_SERVER, Api
from tracklake.integrations.wandb_api.run import ApiRun
from tracklake.integrations.wandb_standin import modules, names, page

PAGE = Path(tl.__file__).with_name("wandb_names.md")


def test_every_name_of_the_module_is_listed():
    """The table of names holds just the names that `dir(wandb)` gives."""
    assert sorted(names.MODULE) == sorted(wandb_0_31.MODULE)


@pytest.mark.parametrize("name", sorted(set(names.MODULE) - {"config", "summary", "run"}))
def test_a_name_is_there(name: str):
    """Each name of wandb is an attribute of `tracklake`."""
    assert getattr(tl, name) is not None


def test_every_name_of_a_run_is_there():
    """The table holds the names of W&B's Run, and our Run has them; config and summary are of each run."""
    assert sorted(names.RUN) == sorted(wandb_0_31.RUN)
    assert {name for name in names.RUN if not hasattr(tl.Run, name)} == {"config"}


def test_every_name_of_the_api_is_there(tmp_path: Path):
    """What W&B's Api has is here, or refused with the way out."""
    assert sorted({*names.API, *OF_A_SERVER}) == sorted(wandb_0_31.API)
    assert {name for name in names.API if not hasattr(Api, name)} == set()
    api = Api(tl.open(tmp_path, create=True).dir)
    with pytest.raises(tl.TracklakeError, match=r"Api.team needs a server.*Api.projects"):
        api.team("us")


def test_every_name_of_a_run_of_the_api_is_there():
    """What W&B's runs of the Api have is here, but for helpers of its own classes."""
    inner = {"create", "snake_to_camel"}
    assert set(wandb_0_31.API_RUN) - set(names.API_RUN) <= inner
    known = set(ApiRun.__annotations__) | set(dir(ApiRun))
    assert {name for name in names.API_RUN if name not in known} == set()


def test_init_takes_the_arguments_of_wandb():
    """`init` has every parameter that W&B's has."""
    theirs = [
        "entity",
        "project",
        "dir",
        "id",
        "name",
        "notes",
        "tags",
        "config",
        "config_exclude_keys",
        "config_include_keys",
        "allow_val_change",
        "group",
        "job_type",
        "mode",
        "force",
        "reinit",
        "resume",
        "resume_from",
        "fork_from",
        "save_code",
        "tensorboard",
        "sync_tensorboard",
        "monitor_gym",
        "settings",
        "anonymous",
    ]
    assert set(theirs) - set(inspect.signature(tl.init).parameters) == set()


def test_a_refused_module_names_the_way_out():
    """What a module that is refused would have had is an error which says what to do instead."""
    with pytest.raises(AttributeError, match=r"wandb.catboost .* no 'WandbCallback'; log what .*get_evals_result"):
        _ = modules.module("catboost").WandbCallback


def test_an_ignored_name_says_so_once(recwarn: pytest.WarningsRecorder):
    """Calls that mean nothing here are accepted, with one warning."""
    for _ in range(2):
        names.resolve("sagemaker_auth")()
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == [
        "tracklake: wandb.sagemaker_auth() is accepted and means nothing: there is no server"
    ]


def test_what_cannot_be_watched_is_told(run: tl.Run):
    """`watch` of something that is no module names what is meant."""
    with pytest.raises(TypeError, match="models= takes a torch module, or a list of them; got 5"):
        run.watch(5)


def test_the_page_is_what_the_tables_say():
    """tracklake/wandb_names.md is written from the tables."""
    assert PAGE.read_text() == page.page()


@pytest.mark.parametrize("path", sorted(modules.TREE))
def test_every_module_of_the_tree_leads_somewhere(path: str):
    """Each name of each module is there, but for those of libraries that are not installed."""
    for name, target in modules.TREE[path].items():
        if not target.startswith("tracklake.integrations."):
            assert getattr(modules.module(path), name) is not None

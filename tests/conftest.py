"""What several rooms' tests share: small patch banks, and a model trained on them for a few steps."""

import gc
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    # Before the first import of NumPy, whose linear algebra asks once how many threads it may have.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from ctloupe import methods  # noqa: E402
from ctloupe.train.settings import TrainSettings  # noqa: E402
from small_bank import write_small_bank  # noqa: E402
from small_config import SMALL_BY_METHOD  # noqa: E402

pytest_plugins = ["dicom_series"]


def pytest_configure() -> None:
    """One thread for each worker: more threads than cores wait for each other most of the time."""
    from ctloupe.foundation.garbage import collect_seldom

    collect_seldom()
    if IS_WORKER and find_spec("torch"):
        import torch

        torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that take long, so that no worker has one left at the end while the others are done.

    A file stays in one piece: what its tests share would be made twice.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Tests and libraries stay to the end: Python's collector went through them in a tenth of all the time."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def stopping_signals() -> None:
    """Nothing that stops is ignored, as jobs in the background of a script and those of ``nohup`` are started to do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that tests fetch or find is of the person who runs them."""
    os.environ["CTLOUPE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def small_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank folder with a few 12×12 clinical and 48×48 µCT patches."""
    folder = tmp_path_factory.mktemp("bank")
    write_small_bank(folder)
    return folder


@pytest.fixture(scope="session")
def min_max_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank folder like `small_bank`, of two scans whose HU differ by a line, each scaled by its own range."""
    from min_max_bank import write_min_max_bank  # Draws overlays: matplotlib is not where torch is not.

    folder = tmp_path_factory.mktemp("min-max")
    write_min_max_bank(folder)
    return folder / "bank"


@pytest.fixture
def settings(small_bank: Path, tmp_path: Path):
    """A function that makes training settings for the small bank."""

    def make(**changes: object) -> TrainSettings:
        overrides = dict(changes)
        method = overrides.pop("method", "sr-cyclegan")
        preset = overrides.pop("preset", "tiny")
        config = methods.get(method).configure(preset, SMALL_BY_METHOD[method] | overrides.pop("config", {}))
        values = {
            "method": method,
            "preset": preset,
            "config": config.model_dump(mode="json"),
            "bank": small_bank,
            "out": tmp_path / "run",
            "steps": 4,
            "accelerator": "cpu",
            "precision": "32-true",
            "deterministic": True,
        }
        return TrainSettings.model_validate(values | overrides)

    return make


@pytest.fixture(scope="session")
def tiny_model(small_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package from two steps of training."""
    return _trained("sr-cyclegan", small_bank, tmp_path_factory)


@pytest.fixture(scope="session")
def min_max_model(min_max_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, trained on volumes that were scaled each by its own range."""
    return _trained("sr-cyclegan", min_max_bank, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_flow(small_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of Physics-Flow from two steps of training."""
    return _trained("physics-flow", small_bank, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_stepping_flow(small_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose samples are steps of the flow."""
    return _trained("physics-flow", small_bank, tmp_path_factory, texture=False, mean_fraction=0.5)


def _trained(method: str, bank: Path, folders: pytest.TempPathFactory, **changes: object) -> Path:
    from ctloupe.train.loop import train

    config = methods.get(method).configure("tiny", SMALL_BY_METHOD[method] | changes)
    return train(
        TrainSettings(
            method=method,
            preset="tiny",
            config=config.model_dump(mode="json"),
            bank=bank,
            out=folders.mktemp("runs") / "tiny",
            steps=2,
            accelerator="cpu",
        )
    )

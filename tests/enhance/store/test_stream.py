"""Streaming to OME-Zarr: what is written, what memory and disk allow, and what survives a kill."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.enhance.store.journal import Journal
from ctloupe.foundation.errors import CtLoupeError, FileError, Interrupted, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume
from small_enhancers import small_enhancer

SLICES = 9


def scan(slices=SLICES, side=24):
    values = np.random.default_rng(0).normal(-800, 150, (slices, side, side + 4)).round().astype(np.int16)
    return Volume(values, (2.0, 0.8, 0.6), (3.0, -4.0, 5.0), modality="clinical", units="HU")


def resolver(name="sr-cyclegan", scale=4, **options):
    network = small_enhancer(name, scale, fixed=False)
    return SuperResolver(
        LoadedModel(name, network, scale, IntensityWindow(-1000, 500), None, 8), EnhanceOptions(**options)
    )


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(Path(store).rglob("*")) if path.is_file()}


def enhance(path, overrides=None, **options):
    resolver(**(overrides or {})).enhance_to(scan(), path, slab=2, **options)


def interpolate(path, **options):
    """Enhance in hardly any time: what is looked at is the store."""
    load_model("bicubic", 4).enhance_to(scan(), path, slab=2, **options)


def test_the_store_holds_the_volume_and_levels_down_to_the_scans_size(tmp_path):
    path = tmp_path / "fine.ome.zarr"
    enhance(path)
    expected = resolver().enhance(scan())
    found = read(path)
    assert np.array_equal(found.array(), expected.data)
    assert np.allclose(found.affine, expected.affine)
    group = zarr.open_group(path, mode="r")
    fine = group["0"][:].astype(float)
    for level, shape in ((1, (SLICES, 48, 56)), (2, (SLICES, 24, 28))):
        coarse = group[str(level)][:]
        assert coarse.shape == shape and coarse.dtype == np.int16
        side = 2**level
        means = fine.reshape(SLICES, shape[1], side, shape[2], side).mean((2, 4))
        assert np.abs(coarse - means).max() <= 1
    assert set(group.array_keys()) == {"0", "1", "2"}


def test_the_levels_metadata_place_every_voxel_where_it_is(tmp_path):
    path = tmp_path / "fine.ome.zarr"
    enhance(path)
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["version"] == "0.5"
    for level, dataset in enumerate(ome["multiscales"][0]["datasets"]):
        scale, translation = (step for step in dataset["coordinateTransformations"])
        spacing = np.array([2.0, 0.8 / 4, 0.6 / 4]) * [1, 2**level, 2**level]
        assert np.allclose(scale["scale"], spacing)
        # The corner of the image, half a voxel before the first centre, is the same at every level.
        corner = np.array(translation["translation"]) - [0, spacing[1] / 2, spacing[2] / 2]
        assert np.allclose(corner, [5.0, -4.0 - 0.4, 3.0 - 0.3])


def test_samples_make_two_stores_on_one_grid(tmp_path):
    path, spread = tmp_path / "mean.ome.zarr", tmp_path / "sd.ome.zarr"
    options = {"name": "bayes-cyclegan", "samples": 3}
    enhance(path, options, uncertainty=spread)
    mean, deviation = read(path), read(spread)
    assert mean.shape == deviation.shape and np.allclose(mean.affine, deviation.affine)
    assert deviation.array().min() >= 0 and deviation.array().mean() > 0.1
    said = []
    enhance(tmp_path / "again.ome.zarr", options, tell=said.append)
    told = [float(line.split()[2]) for line in said if line.startswith("precision")]
    assert not told or told[0] < 20
    assert sorted(one.name for one in tmp_path.iterdir()) == ["again.ome.zarr", "mean.ome.zarr", "sd.ome.zarr"]


def test_the_summary_tells_consistency_and_the_share_skipped(tmp_path):
    mask = np.zeros(scan().shape, bool)
    mask[:4, 4:12, 4:12] = True
    summary = resolver(tile=8).enhance_to(scan(), tmp_path / "fine.ome.zarr", mask)
    assert summary.voxels == mask.sum() and summary.skipped > summary.tiles / 2
    assert [line.split(":")[0] for line in summary.lines()] == ["consistency", "skipped"]
    corrected = resolver(tile=8, consistent=True).enhance_to(scan(), tmp_path / "same.ome.zarr", mask)
    assert (corrected.squares / corrected.voxels) ** 0.5 < 1 < (summary.squares / summary.voxels) ** 0.5


def test_the_plan_is_told_before_the_work(tmp_path):
    said = []
    enhance(tmp_path / "fine.ome.zarr", tell=said.append)
    assert said[0].startswith("precision: bf16, ") or said[0].startswith("plan: ")
    assert "9 slices to 112×96 pixels, 2 at a time" in said[-3]
    assert "memory about" in said[-2] and "disk up to" in said[-2] and "time about" in said[-2]
    assert " compute" in said[-1] and "writing gives way" in said[-1]


def test_too_little_disk_is_an_error_before_the_work(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(FileError, match="are free; free some space"):
        enhance(tmp_path / "fine.ome.zarr")
    assert not (tmp_path / "fine.ome.zarr").exists()


def test_what_exists_is_not_replaced_and_a_finished_store_needs_no_resuming(tmp_path):
    path = tmp_path / "fine.ome.zarr"
    enhance(path)
    before = files(path)
    with pytest.raises(FileError, match="`overwrite`"):
        enhance(path)
    said = []
    enhance(path, resume=True, tell=said.append)
    assert said == [f"{path} is finished already, nothing was written"] and files(path) == before
    enhance(path, overwrite=True)
    assert files(path) == before


@pytest.mark.parametrize("slab", [1, 3, 100])
def test_slabs_change_no_byte(tmp_path, slab):
    enhance(tmp_path / "a.ome.zarr")
    resolver().enhance_to(scan(), tmp_path / "b.ome.zarr", slab=slab)
    assert files(tmp_path / "a.ome.zarr") == files(tmp_path / "b.ome.zarr")


def stopped_after(path, slices, run=enhance, **changes):
    """Enhance until so many slices are done, then be interrupted as by Ctrl-C."""

    def stop(done):
        if done >= slices:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command with `resume` goes on"):
        run(path, progress=stop, **changes)


def test_an_interrupted_run_leaves_nothing_under_the_final_name_and_goes_on_where_it_was(tmp_path):
    whole, path = tmp_path / "whole.ome.zarr", tmp_path / "fine.ome.zarr"
    enhance(whole)
    stopped_after(path, 4)
    assert not path.exists() and Journal(path).exists
    told, said = [], []
    enhance(path, resume=True, progress=told.append, tell=said.append)
    assert "resuming: 4 of 9 slices are done" in said and told == [6, 8, 9]
    assert files(path) == files(whole)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fine.ome.zarr", "whole.ome.zarr"]


def test_a_second_run_onto_one_store_is_refused_and_the_first_ends_as_ever(tmp_path):
    path, refused = tmp_path / "fine.ome.zarr", []

    def meanwhile(done):
        for asked in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(FileError, match=rf"fine\.ome\.zarr: process {os.getpid()} .* is writing it"):
                interpolate(path, **asked)
        refused.append(done)

    interpolate(path, progress=meanwhile)
    assert refused == [2, 4, 6, 8, 9] and [one.name for one in tmp_path.iterdir()] == ["fine.ome.zarr"]
    assert np.array_equal(read(path).array(), load_model("bicubic", 4).enhance(scan()).data)


def test_stopped_before_anything_was_done_nothing_is_left(tmp_path):
    def stop(text):
        if text.startswith("plan: memory"):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        enhance(tmp_path / "fine.ome.zarr", tell=stop)
    enhance(tmp_path / "fine.ome.zarr", resume=True)
    assert [one.name for one in tmp_path.iterdir()] == ["fine.ome.zarr"]


def test_resuming_something_else_is_refused_and_starting_over_is_possible(tmp_path):
    path = tmp_path / "fine.ome.zarr"
    stopped_after(path, 4)
    with pytest.raises(OptionError, match="begun with another `seed`;"):
        enhance(path, {"seed": 5}, resume=True)
    other = resolver()
    with pytest.raises(OptionError, match="begun with another scan;"):
        other.enhance_to(scan().with_data(scan().data + 1), path, resume=True)
    enhance(path, {"seed": 5})
    assert path.is_dir()


class WithSharpening(EnhanceOptions):
    """Options with one that nobody thought of when the journal was written."""

    sharpening: int = 0


@pytest.mark.parametrize(
    ("begun", "asked", "named"),
    [
        (
            EnhanceOptions(stitch="patches"),
            EnhanceOptions(stitch="patches", match_histograms=True),
            "`match_histograms`",
        ),
        (WithSharpening(sharpening=1), WithSharpening(sharpening=2), "`sharpening`"),
        (WithSharpening(), EnhanceOptions(), "`sharpening`"),
    ],
)
def test_no_option_can_be_mixed_into_a_store_that_was_begun_without_it(tmp_path, begun, asked, named):
    path = tmp_path / "fine.ome.zarr"
    model = resolver().model

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        SuperResolver(model, begun).enhance_to(scan(), path, slab=2, progress=stop)
    with pytest.raises(OptionError, match=f"begun with another {named};"):
        SuperResolver(model, asked).enhance_to(scan(), path, slab=2, resume=True)


def test_memory_and_tile_may_change_on_the_way_since_the_tiles_are_kept(tmp_path):
    whole, path = tmp_path / "whole.ome.zarr", tmp_path / "fine.ome.zarr"
    enhance(whole, {"tile": 8})
    stopped_after(path, 4, overrides={"tile": 8})
    enhance(path, {"memory": 2 * 10**9}, resume=True)
    assert files(path) == files(whole)


def test_a_journal_cut_off_in_the_middle_of_a_line_costs_one_slab(tmp_path):
    whole, path = tmp_path / "whole.ome.zarr", tmp_path / "fine.ome.zarr"
    enhance(whole)
    stopped_after(path, 6)
    lines = Journal(path).folder / "journal.jsonl"
    os.truncate(lines, lines.stat().st_size - 7)
    said = []
    enhance(path, resume=True, tell=said.append)
    assert "resuming: 4 of 9 slices are done" in said
    assert files(path) == files(whole)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A whole store, and the folder of the same work stopped after six of nine slices."""
    folder = tmp_path_factory.mktemp("kept")
    interpolate(folder / "whole.ome.zarr")
    stopped_after(folder / "fine.ome.zarr", 6, run=interpolate)
    return folder


@pytest.fixture
def unfinished(kept, tmp_path):
    """A copy of the folder of the stopped work, and the path of its output."""
    path = tmp_path / "fine.ome.zarr"
    return shutil.copytree(Journal(kept / path.name).folder, Journal(path).folder), path


def emptied(store):
    (store / "0/c/1/0/0").write_bytes(b"")


def flipped(store):
    chunk = store / "0/c/3/0/0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        (lambda store: (store / "0/c/0/0/0").unlink(), 0),
        (lambda store: (store / "2/c/2/0/0").unlink(), 2),
        (lambda store: shutil.rmtree(store / "0/c"), 0),
        (lambda store: shutil.copy(store / "0/c/2/0/0", store / "0/c/3/0/0"), 2),
        (emptied, 0),
        (flipped, 2),
    ],
)
def test_slices_that_are_gone_or_damaged_are_made_again(kept, unfinished, damage, first):
    folder, path = unfinished
    damage(folder / "values.ome.zarr")
    said = []
    interpolate(path, resume=True, tell=said.append)
    assert any(line.startswith("warning: ") and f"the first at slice {first}, are damaged" in line for line in said)
    assert files(path) == files(kept / "whole.ome.zarr")


@pytest.mark.parametrize("name", ["values.ome.zarr", "values.ome.zarr/zarr.json", "values.ome.zarr/1/zarr.json"])
def test_a_store_that_is_gone_or_changed_is_refused_on_resume(unfinished, name):
    folder, path = unfinished
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    else:
        (folder / name).write_text((folder / name).read_text().replace("0", "1", 1))
    with pytest.raises(FileError, match=r"fine\.ome\.zarr\.unfinished.*start over without `resume`"):
        interpolate(path, resume=True)
    assert not path.exists()


def test_a_journal_that_claims_more_than_was_done_is_refused(unfinished):
    folder, path = unfinished
    lines = folder / "journal.jsonl"
    lines.write_text(lines.read_text().replace('"slices": [4, 6]', '"slices": [4, 9]'))
    with pytest.raises(FileError, match=r"not a valid journal: .*start over without `resume`"):
        interpolate(path, resume=True)
    assert not path.exists()


def test_a_folder_whose_removal_a_kill_cut_off_is_removed_on_resume(tmp_path):
    path = tmp_path / "fine.ome.zarr"
    enhance(path)
    left = Journal(path).folder
    left.mkdir()
    enhance(path, resume=True)
    assert not left.exists() and path.is_dir()


def test_a_store_that_was_placed_before_the_crash_is_left_there(tmp_path):
    path, spread = tmp_path / "mean.ome.zarr", tmp_path / "sd.ome.zarr"
    options = {"name": "bayes-cyclegan", "samples": 2}
    enhance(tmp_path / "a.ome.zarr", options, uncertainty=tmp_path / "b.ome.zarr")
    stopped_after(path, 9, overrides=options, uncertainty=spread)
    (Journal(path).folder / "deviation.ome.zarr").rename(spread)
    enhance(path, options, uncertainty=spread, resume=True)
    assert files(path) == files(tmp_path / "a.ome.zarr") and files(spread) == files(tmp_path / "b.ome.zarr")


def test_formats_that_cannot_be_streamed_refuse_to_resume_and_to_hold_too_much(tmp_path):
    with pytest.raises(OptionError, match=r"name it \*\.ome\.zarr"):
        enhance(tmp_path / "fine.nii.gz", resume=True)
    small = resolver(memory=50_000)
    with pytest.raises(OptionError, match=r"name the output \*\.ome\.zarr"):
        small.enhance_to(scan(), tmp_path / "fine.mha")
    assert not list(tmp_path.iterdir())


def _child(path, limit=None):
    if limit is not None:
        # Python may keep what a full disk left of a compiled module, which nothing can import afterwards.
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        resolver().enhance_to(scan(), path, slab=1, resume=True)
    except CtLoupeError as error:
        path.with_suffix(".told").write_text(str(error)[:limit])
        os._exit(2)


@pytest.fixture
def spawn():
    """Start a fresh process for a run; a server that has PyTorch loaded already makes it quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ctloupe.enhance.job", "ctloupe.volume.formats.ome_zarr.reader", "small_enhancers"])

    def start(*arguments):
        process = context.Process(target=_child, args=arguments)
        process.start()
        return process

    return start


@pytest.mark.slow
def test_a_full_disk_stops_cleanly_and_can_be_resumed(tmp_path, spawn):
    path = tmp_path / "fine.ome.zarr"
    process = spawn(path, 6000)
    process.join()
    assert process.exitcode == 2 and not path.exists()
    assert "cannot be written" in path.with_suffix(".told").read_text()
    enhance(path, resume=True)
    enhance(tmp_path / "whole.ome.zarr")
    assert files(path) == files(tmp_path / "whole.ome.zarr")


def _killed(process, after):
    """Whether the process was still at work when it was killed."""
    time.sleep(after)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(9, marks=pytest.mark.thorough)])
def test_killed_at_any_moment_the_same_command_ends_in_the_same_bytes(tmp_path, spawn, times):
    for name in ("first", "whole"):
        begun = time.monotonic()
        spawn(tmp_path / f"{name}.ome.zarr").join()
        lasts = time.monotonic() - begun
    expected = files(tmp_path / "whole.ome.zarr")
    moments = random.Random(0)
    kills = 0
    for attempt in range(100):
        path = tmp_path / f"fine{attempt}.ome.zarr"
        for _ in range(moments.randrange(1, 4)):
            kills += _killed(spawn(path), moments.uniform(0, lasts))
        process = spawn(path)
        process.join()
        assert process.exitcode == 0
        assert files(path) == expected
        assert not Journal(path).folder.exists()
        if kills >= times:
            break
    assert kills >= times

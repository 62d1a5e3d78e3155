"""Blinded pictures: what they show is the volumes' own, and nothing says which method made it."""

import csv
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import FileError, GeometryError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.rate.design import Design, read_design
from ctloupe.rate.pictures import HEAD, MARGIN, enlarged_patch, grey_levels, patch_of, window_for
from ctloupe.rate.places import corner_of, drawn_places
from ctloupe.rate.request import DesignRequest, design_study
from ctloupe.volume.formats import read, write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import LazyArray, Volume

SIDE, SCALE = 5, 4
ANGLE = np.radians(20)
OBLIQUE = ((np.cos(ANGLE), -np.sin(ANGLE), 0), (np.sin(ANGLE), np.cos(ANGLE), 0), (0, 0, 1))


def scan_of(shape=(3, 17, 23), direction=OBLIQUE, seed=0, units="HU"):
    values = np.random.default_rng(seed).normal(-700, 200, shape).round().astype(np.int16)
    return Volume(values, (2.0, 0.6, 0.6), (-40.0, 25.0, 7.0), direction, "clinical", units)


def enhanced_of(scan, seed, scale=SCALE):
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    fine = (scan.shape[0], scan.shape[1] * scale, scan.shape[2] * scale)
    values = np.random.default_rng(seed).normal(-700, 300, fine).round().astype(np.int16)
    return Volume(values, spacing, origin, scan.direction, "clinical", scan.units)


@pytest.fixture
def place(tmp_path):
    """A folder with an oblique scan of odd size, and three volumes that lie on its finer grid."""
    scan = scan_of()
    write(scan, tmp_path / "scan.nii.gz")
    for number in range(3):
        write(enhanced_of(scan, number + 1), tmp_path / f"fine-{number}.nii.gz")
    return tmp_path


def request(place, names=("plain", "ours", "theirs"), **changes):
    output = tuple((name, place / f"fine-{number}.nii.gz") for number, name in enumerate(names))
    values = {"experiment": "isbi", "input": place / "scan.nii.gz", "output": output, "mask": "none", "side": SIDE}
    values |= {"patches": 4, "repeats": 3, "raters": ("a", "b"), "seed": 3, "out": place / "study"}
    return DesignRequest(**values | changes)


def key_of(folder):
    return list(csv.DictReader((folder / "key.csv").open()))


def halves(path, side=SIDE, scale=SCALE):
    """Left and right image of a picture, each pixel taken once, and the size of a pixel on the screen."""
    picture = np.asarray(Image.open(path))
    pixels = (picture.shape[1] - 3 * MARGIN) // 2
    zoom = pixels // (side * scale)
    images = [picture[HEAD : HEAD + pixels, left : left + pixels] for left in (MARGIN, 2 * MARGIN + pixels)]
    # Every pixel is a square of whole pixels, so any of them says its grey level.
    assert all((one == one[::zoom, ::zoom].repeat(zoom, 0).repeat(zoom, 1)).all() for one in images)
    return [one[::zoom, ::zoom] for one in images]


def test_the_right_image_is_the_methods_voxels_and_the_left_one_the_scan_in_one_window(place):
    window = (-1100.0, 300.0)
    made, _ = design_study(request(place, window=window))
    volumes = {name: read(place / f"fine-{number}.nii.gz").array() for number, name in enumerate(made.methods)}
    fine_scan = load_model("bicubic", SCALE).enhanced_lazily(read(place / "scan.nii.gz")).array()
    places = dict(zip(made.patch_names, made.pictures.places, strict=True))
    for row in key_of(place / "study"):
        left, right = halves(place / "study" / f"pictures-{row['rater']}" / f"{row['label']}.png")
        z, y, x = places[row["patch"]]
        begin = (y - SIDE // 2) * SCALE, (x - SIDE // 2) * SCALE
        # The enhanced scan is rounded to whole HU, of which a grey level has 5.5.
        for seen, volume, most in ((right, volumes[row["method"]], 0.501), (left, fine_scan, 0.6)):
            crop = volume[z, begin[0] : begin[0] + SIDE * SCALE, begin[1] : begin[1] + SIDE * SCALE]
            levels = 255 * np.clip((crop.astype(float) + 1100) / 1400, 0, 1)
            assert np.abs(seen - levels).max() <= most
        assert not (right == left).all()


def test_every_item_has_a_picture_repeats_another_one_of_the_same_content(place):
    _, paths = design_study(request(place))
    rows = key_of(place / "study")
    assert len(rows) == 2 * (4 * 3 + 3)
    for rater in "ab":
        labels = {row["label"] for row in rows if row["rater"] == rater}
        assert {path.stem for path in (place / "study" / f"pictures-{rater}").iterdir()} == labels
    again = [row for row in rows if row["showing"] == "2"]
    assert len(again) == 6
    for row in again:
        same = [one for one in rows if all(one[what] == row[what] for what in ("rater", "patch", "method"))]
        files = [place / "study" / f"pictures-{one['rater']}" / f"{one['label']}.png" for one in same]
        assert len(set(files)) == 2 and len({file.read_bytes() for file in files}) == 1
    assert all(path.exists() for path in paths)


def test_what_raters_get_is_the_same_whatever_the_methods_are_called(place):
    """Two studies whose methods have each other's names differ in key and design, and in nothing else."""
    design_study(request(place, ("plain", "ours", "theirs"), out=place / "one"))
    design_study(request(place, ("theirs", "plain", "ours"), out=place / "two"))
    found = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (place / "one", place / "two")
    ]
    assert found[0].keys() == found[1].keys()
    assert {path.name for path in found[0] if found[0][path] != found[1][path]} == {"key.csv", "design.yaml"}
    for path, content in found[0].items():
        if path.name not in ("key.csv", "design.yaml"):
            assert not [name for name in (b"plain", b"ours", b"theirs", b"fine-", b"patch-") if name in content]


def test_a_picture_holds_pixels_and_nothing_else(place):
    design_study(request(place))
    pictures = sorted((place / "study").glob("pictures-*/*.png"))
    assert len({Image.open(path).size for path in pictures}) == 1
    for path in pictures:
        content, kinds, at = path.read_bytes(), [], 8
        while at < len(content):
            length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
            kinds.append(kind)
            at += 12 + length
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
        assert not Image.open(BytesIO(content)).info


def test_the_patches_of_scan_and_enhanced_volume_cover_one_extent():
    """With odd sizes and an oblique direction, the outer corners of both patches are the same points in mm."""
    scan = scan_of()
    fine = enhanced_of(scan, 1)
    for place in ((0, 2, 2), (1, 9, 11), (2, 14, 20)):
        coarse, thin = patch_of(scan, place, SIDE), patch_of(fine, place, SIDE, SCALE)
        for outer in ((-0.5, -0.5), (-0.5, None), (None, -0.5), (None, None)):
            corners = [
                one.physical(
                    (0, *(length - 0.5 if at is None else at for at, length in zip(outer, one.shape[1:], strict=True)))
                )
                for one in (coarse, thin)
            ]
            np.testing.assert_allclose(corners[0], corners[1], atol=1e-9)


@pytest.mark.parametrize("place", [(0, 2, 2), (1, 9, 11), (2, 14, 20)])
def test_an_interpolated_patch_equals_the_same_part_of_the_interpolated_slice(place):
    scan = scan_of()
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(scan.data[place[0]].astype(np.float32))[None, None],
        scale_factor=SCALE,
        mode="bicubic",
        antialias=True,
    )[0, 0].numpy()
    _, y, x = corner_of(place, SIDE)
    part = whole[y * SCALE : (y + SIDE) * SCALE, x * SCALE : (x + SIDE) * SCALE]
    np.testing.assert_allclose(enlarged_patch(scan, place, SIDE, SCALE, "bicubic"), part, atol=1e-2)


def test_pixels_of_the_scan_are_squares_where_the_experiment_shows_them_so(place):
    made, _ = design_study(request(place, experiment="jmi"))
    assert made.pictures.enlargement == "nearest"
    places = dict(zip(made.patch_names, made.pictures.places, strict=True))
    row = key_of(place / "study")[0]
    left, _ = halves(place / "study" / f"pictures-{row['rater']}" / f"{row['label']}.png")
    z, y, x = corner_of(places[row["patch"]], SIDE)
    crop = read(place / "scan.nii.gz").array()[z, y : y + SIDE, x : x + SIDE]
    assert (left == np.kron(grey_levels(crop, made.pictures.window), np.ones((SCALE, SCALE)))).all()


def test_grey_levels_are_black_and_white_at_the_ends_of_the_window_and_beyond():
    assert grey_levels(np.array([-2000, -1000, -400, 200, 900]), (-1000, 200)).tolist() == [0, 0, 128, 255, 255]


def test_only_the_voxels_of_the_patches_are_read():
    read_blocks = []

    def block(ranges):
        read_blocks.append(ranges)
        return np.zeros([one.stop - one.start for one in ranges], np.int16)

    volume = Volume(LazyArray((50, 400, 400), np.int16, block, "fine"), (1.0, 0.1, 0.1), units="HU")
    patch_of(volume, (7, 50, 60), SIDE, SCALE).array()
    ((slices, rows, columns),) = read_blocks
    assert (slices.stop - slices.start, rows.stop - rows.start, columns.stop - columns.start) == (1, 20, 20)
    assert (slices.start, rows.start, columns.start) == (7, 48 * SCALE, 58 * SCALE)


def test_places_follow_the_seed_lie_in_the_mask_and_do_not_overlap():
    scan = scan_of((6, 40, 40))
    mask = np.zeros(scan.shape, bool)
    mask[2:4, 5:30, 8:38] = True
    places = drawn_places(scan, SIDE, 12, 1, mask)
    assert places == drawn_places(scan, SIDE, 12, 1, mask) != drawn_places(scan, SIDE, 12, 2, mask)
    taken = np.zeros(scan.shape, int)
    for place in places:
        z, y, x = corner_of(place, SIDE)
        patch = z, slice(y, y + SIDE), slice(x, x + SIDE)
        assert mask[patch].mean() >= 0.6
        taken[patch] += 1
    assert taken.max() == 1 and taken.sum() == 12 * SIDE**2


def test_patches_lie_apart_in_depth_while_there_is_room():
    places = drawn_places(scan_of((40, 16, 16)), 12, 5, 1)
    depths = sorted(z for z, *_ in places)
    # Twelve pixels of 0.6 mm are 3.6 slices of 2 mm; all patches of this narrow scan overlap in the plane.
    assert min(np.diff(depths)) > 0.5 * 12 * 0.6 / 2


def test_places_that_are_given_are_used_and_their_number_is_that_of_the_patches(place):
    at = ((0, 2, 2), (2, 14, 20))
    made, _ = design_study(request(place, at=at, mask=None, patches=None))
    assert made.pictures.places == list(at) and len(made.patch_names) == 2


def test_a_written_design_makes_the_same_pictures_again(place):
    made, _ = design_study(request(place))
    again = {"experiment": None, "mask": None, "side": None, "patches": None, "repeats": None, "raters": ()}
    other = request(place, **again, seed=None, design=place / "study" / "design.yaml", out=place / "again")
    assert design_study(other)[0] == made == read_design(place / "study" / "design.yaml")
    for path in (place / "study").rglob("*.*"):
        assert (place / "again" / path.relative_to(place / "study")).read_bytes() == path.read_bytes()


def test_a_design_of_ones_own_gets_pictures_too(place):
    text = "{name: s, methods: [ours, plain], patches: [hilum, apex], criteria: {sharp: [1, 5]}, raters: [r], seed: 2}"
    (place / "own.yaml").write_text(text)
    output = (("plain", place / "fine-0.nii.gz"), ("ours", place / "fine-1.nii.gz"))
    made, paths = design_study(
        DesignRequest(
            out=place / "study", design=place / "own.yaml", input=place / "scan.nii.gz", output=output, side=4
        )
    )
    assert made.pictures.side == 4 and len(list((place / "study" / "pictures-r").iterdir())) == 4
    assert [path.name for path in paths] == ["design.yaml", "key.csv", "ratings-r.csv", "pictures-r"]


def test_the_window_is_that_of_the_anatomy_which_the_patches_look_like():
    lung, bone = (scan_of().with_data(np.full((3, 17, 23), value, np.int16)) for value in (-850, 900))
    assert window_for(lung, [(0, 8, 8)], SIDE) == (-1000, 200)
    assert window_for(bone, [(0, 8, 8)], SIDE)[1] > 900
    with pytest.raises(OptionError, match="`window` is needed"):
        window_for(scan_of(units="raw"), [(0, 8, 8)], SIDE)


def test_the_scale_bars_are_as_long_as_they_say(place):
    """A patch of 5 voxels of 0.6 mm is 3 mm wide, and the bar under each image shows 0.5 mm of that."""
    design_study(request(place))
    picture = np.asarray(Image.open(next((place / "study").glob("pictures-*/*.png"))))
    pixels = (picture.shape[1] - 3 * MARGIN) // 2
    below = picture[HEAD + pixels + 12]
    for left in (MARGIN, 2 * MARGIN + pixels):
        ends = np.flatnonzero(np.diff(below[left - 1 : left + pixels // 4].astype(int)))
        assert ends[0] == 0 and ends[1] == round(pixels * 0.5 / 3)


def test_the_notice_stands_on_every_picture(place, monkeypatch):
    """Without its words the ground below the images is another, whatever the pictures show."""
    design_study(request(place))
    monkeypatch.setattr("ctloupe.rate.pictures.RESEARCH_NOTICE", "")
    design_study(request(place, out=place / "bare"))
    assert RESEARCH_NOTICE
    for path in (place / "study").glob("pictures-*/*.png"):
        told, bare = (
            np.asarray(Image.open(place / one / path.relative_to(place / "study"))) for one in ("study", "bare")
        )
        assert (told != bare).any() and (told[: HEAD + 400] == bare[: HEAD + 400]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": ()}, "`input` and `output` belong together"),
        ({"input": None}, "`input` and `output` belong together"),
        ({"input": None, "output": ()}, "`experiment` needs `input`"),
        ({"experiment": None}, "give either the file of a `design`, or an `experiment`"),
        ({"experiment": "mos"}, "no experiment is called 'mos'; there are: isbi, jmi"),
        ({"at": ((0, 2, 2),)}, "`at` and `mask` exclude each other"),
        ({"at": ((0, 1, 2),), "mask": None, "patches": None}, "`at` 0,1,2: a patch of 5 voxels there leaves the scan"),
        ({"at": ((0, 8, 8),), "mask": None, "patches": 2}, "1 places are given for 2 patches"),
        ({"at": ((0.5, 8, 8),), "mask": None, "patches": None}, "places"),
        ({"side": 18}, "`patches` 4: only 0 of 18×18 voxels were found in the scan"),
        ({"patches": 500}, "`patches` 500: only"),
        ({"window": (200.0, -1000.0)}, "the low end of the window must be below"),
        ({"repeats": 99}, "there are more repeats than items"),
        ({"raters": ("a", "../b")}, "expected a name"),
    ],
)
def test_what_makes_no_sense_is_refused(place, changes, message):
    with pytest.raises(OptionError, match=message):
        design_study(request(place, **changes))
    assert not (place / "study").exists()


def test_methods_are_named_once_and_are_those_of_the_design(place):
    with pytest.raises(OptionError, match="`output`: two volumes have one name"):
        design_study(request(place, ("ours", "ours")))
    with pytest.raises(OptionError, match="at least two methods"):
        design_study(request(place, ("ours",)))
    (place / "own.yaml").write_text("{name: s, methods: [a, b], patches: 2, criteria: {sharp: [1, 5]}, raters: [r]}")
    own = {"experiment": None, "patches": None, "repeats": None, "raters": (), "seed": None}
    with pytest.raises(OptionError, match="compares a, b: no b; c is not in it"):
        design_study(request(place, ("a", "c"), **own, design=place / "own.yaml"))
    with pytest.raises(OptionError, match="`patches` is for `experiment`"):
        design_study(request(place, ("a", "b"), **own | {"patches": 3}, design=place / "own.yaml"))


def test_a_design_with_pictures_is_not_written_without_them(place):
    design_study(request(place))
    with pytest.raises(OptionError, match="the design has pictures; give `input` and `output`"):
        design_study(DesignRequest(out=place / "sheets", design=place / "study" / "design.yaml"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (enhanced_of(scan_of((3, 17, 22)), 9), "ours: shape"),
        (enhanced_of(scan_of(), 9, 2), "ours: shape"),
        (enhanced_of(scan_of(direction=((1, 0, 0), (0, 1, 0), (0, 0, 1))), 9), "ours: "),
        (scan_of().with_data(enhanced_of(scan_of(), 9).data, spacing=(2.0, 0.15, 0.15)), "ours: lies elsewhere"),
        (enhanced_of(scan_of(units="raw"), 9), "ours: has values in raw, the scan in HU"),
    ],
)
def test_a_volume_that_does_not_belong_to_the_scan_is_refused(place, wrong, message):
    from ctloupe.rate.pictures import Subjects

    scan = scan_of()
    with pytest.raises(GeometryError, match=message):
        Subjects(scan, {"plain": enhanced_of(scan, 1), "ours": wrong})


def test_pixels_that_are_not_square_are_refused():
    from ctloupe.rate.pictures import Subjects

    scan = Volume(np.zeros((2, 9, 9), np.int16), (2.0, 0.6, 0.7), units="HU")
    with pytest.raises(GeometryError, match="pictures need square ones"):
        Subjects(scan, {"a": enhanced_of(scan, 1), "b": enhanced_of(scan, 2)})


def test_nothing_is_overwritten_unasked_and_an_input_never(place, monkeypatch):
    design_study(request(place))
    before = {path: path.read_bytes() for path in place.rglob("*.*") if path.is_file()}
    with pytest.raises(FileError, match="exists already"):
        design_study(request(place, seed=4))
    with pytest.raises(FileError, match="an input is never replaced"):
        design_study(request(place, out=place, overwrite=True))
    assert {path: path.read_bytes() for path in place.rglob("*.*") if path.is_file()} == before
    design_study(request(place, seed=4, overwrite=True))
    # A folder that is called like an experiment is an output like any other.
    monkeypatch.chdir(place)
    (place / "isbi").mkdir()
    design_study(request(place, out=Path("isbi"), overwrite=True))
    assert (place / "study" / "key.csv").read_bytes() != before[place / "study" / "key.csv"]


def test_a_study_of_sheets_has_no_pictures(tmp_path):
    (tmp_path / "s.yaml").write_text("{name: s, methods: [a, b], patches: 2, criteria: {sharp: [1, 5]}, raters: [r]}")
    made, paths = design_study(DesignRequest(out=tmp_path / "study", design=tmp_path / "s.yaml"))
    assert made.pictures is None and isinstance(made, Design)
    assert {path.name for path in (tmp_path / "study").iterdir()} == {"design.yaml", "key.csv", "ratings-r.csv"}
    assert len(paths) == 3

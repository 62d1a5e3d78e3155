"""The viewer's page in a real browser: its pixels, its geometry, its keys, its files."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from browser import browser, needs_browser, violations
from ctloupe.display.scene import Layer, Scene, with_agreement
from ctloupe.foundation.errors import FileError
from ctloupe.viewer.files import write_files
from ctloupe.viewer.request import ViewRequest
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import LazyArray, Volume
from viewer.served import served

pytestmark = [pytest.mark.slow, needs_browser]

WINDOW = (-1000, 200)
OBLIQUE = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(-1000, 200, shape).astype(np.int16)


def scan_and_fine(scale=4, direction=OBLIQUE):
    scan = Volume(noise((5, 30, 40)), (2.5, 0.8, 0.8), (5.0, 6.0, 7.0), direction, "clinical", "HU")
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, scale)
    return scan, Volume(noise((5, 120, 160), 1), spacing, origin, direction, "clinical", "HU")


@pytest.fixture
def scene():
    scan, fine = scan_and_fine()
    inside = np.zeros(scan.shape, np.uint8)
    inside[:, 10:20, 10:30] = 1
    layers = [
        Layer("scan", "image", scan),
        Layer("fine", "image", fine),
        Layer("sigma", "uncertainty", fine.with_data(np.full(fine.shape, 30, np.float32))),
        Layer("mask", "mask", scan.with_data(inside)),
        Layer("labels", "labels", scan.with_data(inside * 3)),
    ]
    return Scene(with_agreement(layers))


class Opened:
    """A page that has drawn everything."""

    def __init__(self, chromium, link, view="", width=1366, height=800):
        self.context = chromium.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.faults, self.asked = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(link)
        self.page.wait_for_selector("body[data-ready=yes]")
        if view:
            self.look(view)
        self.settled()

    def look(self, view):
        self.page.evaluate(f"location.hash = {json.dumps(view)}")
        self.settled()

    def settled(self):
        """Wait until every tile is here and has been drawn for two frames."""
        twice = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        for _ in range(2):
            self.page.evaluate(twice)
            self.page.wait_for_selector("#stage[data-state=complete]")
        self.page.evaluate(twice)
        assert not self.faults
        return self

    def view(self, name):
        return self.page.evaluate(f"window.ctloupe.view.{name}")

    def pixels(self):
        """The images without what is written over them."""
        self.page.evaluate("document.getElementById('notes').hidden = true")
        picture = self.page.locator("#image").screenshot()
        self.page.evaluate("document.getElementById('notes').hidden = false")
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

    def panes(self):
        return self.page.evaluate("window.ctloupe.panes")

    def press(self, *keys):
        self.page.locator("#stage").focus()
        for key in keys:
            self.page.keyboard.press(key)
        return self.settled()


def windowed(values, window=WINDOW):
    unit = (values.astype(np.float64) - window[0]) / (window[1] - window[0])
    return np.round(255 * unit.clip(0, 1))


def expected_pane(placed, view, pane, index):
    """Voxel under the middle of every pixel of a pane, by arithmetic alone; NaN outside."""
    centre, zoom = view["centre"], view["zoom"]
    x = centre[2] + (np.arange(pane["width"]) + 0.5 - pane["width"] / 2) * zoom
    y = centre[1] + (np.arange(pane["height"]) + 0.5 - pane["height"] / 2) * zoom
    column = np.floor((x - placed.edge(2)) / placed.spacing[2]).astype(int)
    row = np.floor((y - placed.edge(1)) / placed.spacing[1]).astype(int)
    plane = placed.read((slice(index, index + 1), slice(0, placed.shape[1]), slice(0, placed.shape[2])))[0]
    inside = np.logical_and.outer((row >= 0) & (row < plane.shape[0]), (column >= 0) & (column < plane.shape[1]))
    found = plane[np.clip(row, 0, plane.shape[0] - 1)][:, np.clip(column, 0, plane.shape[1] - 1)].astype(float)
    return np.where(inside, found, np.nan)


def test_the_pixels_of_every_pane_are_the_voxels_of_its_volume_in_the_window(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link, "panes=0,1&window=-1000,200&zoom=0.0413")
        shown.look(f"zoom=0.0413&at={','.join(map(str, np.add(shown.view('centre'), (0, 0.011, 0.017))))}")
        pixels, view = shown.pixels(), shown.page.evaluate("window.ctloupe.view")
        assert len(shown.panes()) == 2
        for pane in shown.panes():
            placed = scene.tiles[pane["layer"]].finest
            expected = expected_pane(placed, view, pane, placed.nearest(0, view["centre"][0]))
            part = pixels[pane["y"] :, pane["x"] :][: pane["height"], : pane["width"]]
            inside = np.isfinite(expected)
            assert inside.mean() > 0.5
            off = np.abs(part[..., 0] - windowed(np.nan_to_num(expected)))[inside]
            # On the edge of a voxel a pixel may fall to either side.
            assert (off <= 1).mean() > 0.995, pane["layer"]
            assert np.all(part[~inside] == part[~inside][0])


@pytest.mark.parametrize("direction", [OBLIQUE, ((0.0, -1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0))])
def test_two_grids_lie_on_each_other_and_a_known_shift_is_seen(chromium, direction):
    """An edge lies at the same pixel in a coarse and a fine volume, and moves by what the fine one is moved."""
    scan, fine = scan_and_fine(4, direction)
    step = np.zeros(scan.shape, np.int16) - 1000
    step[:, :, 20:] = 200
    fine_step = step.repeat(4, 1).repeat(4, 2)
    moved = tuple(np.add(fine.origin, np.asarray(direction) @ (0.5, 0.0, 0.0)))
    layers = (
        Layer("scan", "image", scan.with_data(step)),
        Layer("fine", "image", fine.with_data(fine_step)),
        Layer("moved", "image", fine.with_data(fine_step, origin=moved)),
    )
    across = int(np.argmax(np.abs(np.asarray(direction)[:, 0])))
    with served(Scene(layers)) as client:
        shown = Opened(chromium, client.link, "panes=0,1,2&zoom=0.02")
        edges = []
        for pane, image in zip(shown.panes(), [shown.pixels()] * 3, strict=True):
            part = image[pane["y"] :, pane["x"] :][: pane["height"], : pane["width"], 0]
            line = part[pane["height"] // 2] if across == 0 else part[:, pane["width"] // 2]
            (edge,) = np.flatnonzero(np.abs(np.diff(line)) > 200)
            edges.append(edge)
        fine_voxel = 0.2 / 0.02
        assert abs(edges[0] - edges[1]) <= 0.1 * fine_voxel
        assert abs(abs(edges[2] - edges[1]) - 0.5 / 0.02) <= 0.1 * fine_voxel


def test_interpolation_is_keys_cubic_and_voxels_without_it(chromium):
    spot = np.full((1, 9, 9), -1000, np.int16)
    spot[0, 4, 4] = 200
    scene = Scene((Layer("scan", "image", Volume(spot, (1.0, 1.0, 1.0), units="HU")),))
    with served(scene) as client:
        shown = Opened(chromium, client.link, "zoom=0.02&at=0,4,4")
        pane = shown.panes()[0]
        row = int(pane["y"] + pane["height"] / 2)
        x = (np.arange(pane["width"]) + 0.5 - pane["width"] / 2) * 0.02
        distance = np.abs(x)
        inside = distance < 4.4
        voxels = shown.pixels()[row, :, 0]
        assert np.array_equal(voxels[inside], np.where(distance < 0.5, 255, 0)[inside])
        shown.press("b")
        line = shown.pixels()[row, :, 0] / 255
        inner = 1.5 * distance**3 - 2.5 * distance**2 + 1
        weight = np.where(distance <= 1, inner, 0).clip(0, 1)
        assert np.abs(line - weight)[inside].max() < 0.012


def test_keys_do_everything_and_the_address_opens_the_same_view_without_the_token(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link)
        assert client.token not in shown.page.url
        shown.press("2")
        assert shown.view("window") == [-160, 240]
        before = shown.view("centre")
        shown.press("PageUp", "ArrowRight", "+", "+")
        assert shown.view("centre")[0] == pytest.approx(before[0] + 2.5)
        assert shown.view("centre")[2] > before[2]
        shown.press("v", "Shift+ArrowRight")
        assert shown.view("mode") == "swipe" and shown.view("divider") == pytest.approx(0.55)
        shown.press("v", " ")
        assert shown.view("mode") == "blink" and shown.panes()[0]["layer"] == 1
        shown.press("v", "d", "m")
        assert shown.view("difference") and shown.view("map") == 2 and len(shown.panes()) == 3
        shown.press("c")
        assert shown.view("plane") == 1
        shown.press("s", "b", "4", "]", "]")
        assert shown.view("plane") == 2 and shown.view("smooth") and shown.view("opacity") == pytest.approx(0.8)
        shown.press("r", "ArrowLeft", "r")
        assert shown.page.evaluate("window.ctloupe.ruler.length") == 2
        shown.press("?")
        assert shown.page.locator("#help").is_visible()
        shown.page.keyboard.press("Escape")
        shown.page.wait_for_timeout(400)
        link, view = shown.page.url, shown.page.evaluate("window.ctloupe.view")
        again = shown.context.new_page()
        again.goto(link)
        again.wait_for_selector("#stage[data-state=complete]")
        reopened = again.evaluate("window.ctloupe.view")
        assert reopened.keys() == view.keys()
        for key, value in view.items():
            assert reopened[key] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-5)), key


def test_an_address_that_makes_no_sense_changes_nothing(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link)
        before = shown.page.evaluate("JSON.stringify(window.ctloupe.view)")
        for wrong in ("plane=9&panes=7,x&window=5,1&mode=<b>&zoom=-1&map=0&opacity=NaN&at=1,2", "%%%", "a"):
            shown.look(wrong)
        assert shown.page.evaluate("JSON.stringify(window.ctloupe.view)") == before


def test_the_pointer_zooms_about_itself_drags_the_image_the_window_and_the_divider(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link, "panes=0,1&mode=swipe")
        box = shown.page.locator("#stage").bounding_box()
        mouse = shown.page.mouse
        at = box["x"] + 300, box["y"] + 200
        mouse.move(*at)
        where = "window.ctloupe.pointer"
        before = shown.page.evaluate(where)
        mouse.wheel(0, -300)
        shown.settled()
        mouse.move(at[0] + 1, at[1])
        mouse.move(*at)
        assert shown.view("zoom") < shown.page.evaluate("0.2")
        assert shown.page.evaluate(where)[1:] == pytest.approx(before[1:], abs=1e-6)
        centre, zoom = shown.view("centre"), shown.view("zoom")
        mouse.down()
        mouse.move(at[0] + 50, at[1] + 20)
        mouse.up()
        assert shown.view("centre")[2] == pytest.approx(centre[2] - 50 * zoom)
        assert shown.view("centre")[1] == pytest.approx(centre[1] - 20 * zoom)
        mouse.move(box["x"] + box["width"] / 2, at[1])
        mouse.down()
        mouse.move(box["x"] + box["width"] / 4, at[1])
        mouse.up()
        assert shown.view("divider") == pytest.approx(0.25, abs=0.01)
        shown.page.keyboard.down("Shift")
        mouse.move(*at)
        mouse.down()
        mouse.move(at[0], at[1] + 30)
        mouse.up()
        shown.page.keyboard.up("Shift")
        assert shown.view("window")[0] > -1000
        slice_before = shown.view("centre")[0]
        shown.page.keyboard.down("Shift")
        mouse.wheel(0, 100)
        shown.page.keyboard.up("Shift")
        shown.settled()
        assert abs(shown.view("centre")[0] - slice_before) == pytest.approx(2.5)


def test_swipe_shows_one_volume_on_each_side_and_the_values_are_those_of_the_files(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link, "panes=0,1&mode=swipe&zoom=0.0413&divider=0.5")
        shown.press("ArrowLeft")
        pixels, view = shown.pixels(), shown.page.evaluate("window.ctloupe.view")
        whole = shown.panes()[0]
        cut = whole["clip"]["width"]
        for number, columns in ((0, slice(0, cut - 4)), (1, slice(cut + 4, None))):
            placed = scene.tiles[number].finest
            expected = expected_pane(placed, view, whole, placed.nearest(0, view["centre"][0]))[:, columns]
            off = np.abs(pixels[..., 0][:, columns] - windowed(np.nan_to_num(expected)))[np.isfinite(expected)]
            assert (off <= 1).mean() > 0.99
        shown.page.wait_for_timeout(300)
        values = json.loads(shown.page.locator("#values").get_attribute("data-values"))
        assert values == scene.values(view["centre"][::-1])


def test_maps_have_a_legend_and_change_what_is_shown(chromium, scene):
    with served(scene) as client:
        shown = Opened(chromium, client.link, "panes=1&map=5&opacity=0")
        plain = shown.pixels()
        shown.page.fill("#opacity", "0.6")
        for number, words in ((2, "sigma"), (3, "edge"), (4, "colour"), (5, "clear 0")):
            shown.page.select_option("#map", str(number))
            shown.settled()
            assert words in shown.page.inner_text("#legend")
            laid = shown.pixels()
            rows = min(len(laid), len(plain))
            assert (np.ptp(laid[:rows], axis=2) > 10).any() and np.ptp(plain, axis=2).max() < 12
        shown.page.fill("#opacity", "0")
        shown.settled()
        assert np.array_equal(shown.pixels(), plain)


def test_a_saved_picture_holds_what_is_shown_with_window_scale_and_notice(chromium, scene, tmp_path):
    with served(scene) as client:
        shown = Opened(chromium, client.link, "panes=1&zoom=0.0413")
        with shown.page.expect_download() as saved:
            shown.page.click("#save")
        saved.value.save_as(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        seen = shown.pixels()
        assert pixels.shape[1] == seen.shape[1] and pixels.shape[0] == seen.shape[0] + 46
        same = (np.abs(pixels[: len(seen)] - seen).max(axis=2) <= 1).mean()
        assert 0.9 < same < 1, "the image, with letters and a scale bar over it"
        assert (pixels[len(seen) :].min(axis=2) > 200).sum() > 300, "the notice"


def test_an_exported_page_works_from_its_file_and_asks_for_nothing(chromium, tmp_path):
    scan, fine = scan_and_fine()
    write(scan, tmp_path / "scan.nii")
    write(fine, tmp_path / "fine.nii")
    named = (("scan", tmp_path / "scan.nii"), ("fine", tmp_path / "fine.nii"))
    write_files(ViewRequest(named, export=tmp_path / "a.html", roi="1:4,5:25,8:36"))
    shown = Opened(chromium, f"file://{tmp_path / 'a.html'}")
    assert not [url for url in shown.asked if url.startswith("http")]
    scene = Scene(with_agreement([Layer("scan", "image", scan), Layer("fine", "image", fine)]))
    shown.look("panes=0,1&zoom=0.0413")
    pixels, view = shown.pixels(), shown.page.evaluate("window.ctloupe.view")
    box = shown.page.evaluate("window.ctloupe.scene.layers[0]")
    for pane in shown.panes():
        placed = scene.tiles[pane["layer"]].finest
        expected = expected_pane(placed, view, pane, placed.nearest(0, view["centre"][0]))
        x = view["centre"][2] + (np.arange(pane["width"]) + 0.5 - pane["width"] / 2) * view["zoom"]
        kept = (x > box["edge"][2]) & (x < box["edge"][2] + box["shape"][2] * box["spacing"][2])
        part = pixels[pane["y"] :, pane["x"] :][: pane["height"], : pane["width"], 0]
        middle = slice(pane["height"] // 2 - 50, pane["height"] // 2 + 50)
        off = np.abs(part - windowed(np.nan_to_num(expected)))[middle][:, kept]
        assert (off <= 1).mean() > 0.99
    shown.press("ArrowLeft", "ArrowDown")
    view = shown.page.evaluate("window.ctloupe.view")
    shown.page.wait_for_timeout(300)
    values = json.loads(shown.page.locator("#values").get_attribute("data-values"))
    assert values == scene.values(view["centre"][::-1])
    assert "axial slice 2" in shown.page.evaluate(
        "import('ctloupe/notes.js').then((notes) => "
        "notes.nameOf(window.ctloupe.scene, window.ctloupe.view, window.ctloupe.panes[0]))"
    )


def test_a_tile_that_cannot_be_read_is_told_of_and_the_rest_is_shown(chromium, tmp_path):
    scan, _ = scan_and_fine()

    def broken(block):
        raise FileError("volume.nii: the disk is gone")

    coarse = Volume(scan.array()[:, ::2, ::2], (2.5, 1.6, 1.6), scan.origin, scan.direction)
    lost = Layer("lost", "image", scan.with_data(LazyArray(scan.shape, np.int16, broken, "v")), (coarse,))
    with served(Scene((Layer("scan", "image", scan), lost))) as client:
        shown = Opened(chromium, client.link, "panes=0")
        shown.page.evaluate("location.hash = 'panes=0,1&zoom=0.05'")
        shown.page.wait_for_selector("#told:has-text('the disk is gone')")
        pane = shown.panes()[0]
        assert np.ptp(shown.pixels()[pane["y"] :, pane["x"] :][: pane["height"], : pane["width"]]) > 200


@pytest.mark.parametrize("width", [1366, 390])
def test_axe_finds_nothing(chromium, scene, width):
    with served(scene) as client:
        shown = Opened(chromium, client.link, width=width)
        assert violations(shown.page) == []
        shown.press("m", "d")
        shown.page.evaluate("document.querySelector('details').open = true")
        assert violations(shown.page) == []
        shown.page.click("#keys")
        assert violations(shown.page) == []
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_is_asked_of_any_other_host_and_no_policy_is_broken(chromium, scene):
    with served(scene) as client:
        page = chromium.new_page()
        asked, told = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text))
        page.goto(client.link)
        page.wait_for_selector("#stage[data-state=complete]")
        assert all(url.startswith(f"http://127.0.0.1:{client.port}/") for url in asked)
        assert len([url for url in asked if client.token in url]) == 1
        assert not [text for text in told if "Content Security Policy" in text or "Refused" in text]

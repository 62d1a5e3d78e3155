"""The panel: which scan, which model, where to; a bar, and the result as a layer beside the scan."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from magicgui.types import FileDialogMode
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    LineEdit,
    ProgressBar,
    PushButton,
    SpinBox,
    TextEdit,
)

from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.napari_plugin.asked import SPACINGS, Asked, scan_of
from ctloupe.napari_plugin.reader import METADATA, WINDOW, layer_of
from ctloupe.napari_plugin.work import BackgroundWork
from ctloupe.prepare.masks import NAMED
from ctloupe.volume.formats import read

if TYPE_CHECKING:
    import napari

FROM_FILE: Final = "(the file below)"
"""Choice of the scan that is no layer."""

POLL_MS: Final = 200
"""Milliseconds between two looks at how far the work is."""


class EnhancePanel(Container):
    """What napari docks: the fields of an enhancement, and what comes of it.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are offered, and which the result is added to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self._viewer = napari_viewer
        self._work: BackgroundWork | None = None
        self._asked = Asked()
        self._window: tuple[float, float] = WINDOW
        self._timer: Any = None
        self.scan = ComboBox(label="scan", choices=self._choices, tooltip="A layer, or the file below.")
        self.file = FileEdit(
            label="or file", mode=FileDialogMode.EXISTING_FILE, tooltip="A scan that is not open; a folder is typed in."
        )
        self.series = LineEdit(label="series", tooltip="Which DICOM series, where a folder holds several.")
        self.model = FileEdit(
            label="model",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            tooltip="Folder of a model package, or a name such as bicubic; empty: as built in.",
        )
        self.scale = SpinBox(label="scale", min=0, max=64, value=0, tooltip="In-plane enlargement; 0: the model's own.")
        self.mask = LineEdit(label="mask", value="auto", tooltip=f"auto, {', '.join(NAMED)}, or a mask file.")
        self.slices = LineEdit(label="slices", tooltip="Slices a:b to enhance; empty: all.")
        self.spacing = ComboBox(label="spacing", choices=SPACINGS, tooltip="What to do with a spacing not trained at.")
        self.samples = SpinBox(label="samples", min=0, max=1000, tooltip="Passes or samples to average; 0: none.")
        self.output = ComboBox(label="output", choices=("mean", "sample"), tooltip="What a flow gives.")
        self.uncertainty = CheckBox(label="uncertainty", tooltip="A layer of σ in HU too, where the model gives one.")
        self.consistent = CheckBox(label="consistent", tooltip="Correct the result so that it agrees with the scan.")
        self.seed = SpinBox(label="seed", min=0, max=2**31 - 1, tooltip="Seed of calibration, dropout and samples.")
        self.out = FileEdit(
            label="output file",
            mode=FileDialogMode.OPTIONAL_FILE,
            tooltip="The suffix says the format; .ome.zarr is streamed.",
        )
        self.resume = CheckBox(label="resume", tooltip="Go on with an OME-Zarr that was interrupted.")
        self.overwrite = CheckBox(label="overwrite", tooltip="Replace an output that is there.")
        self.enhance = PushButton(text="Enhance")
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.bar = ProgressBar(label="done", max=1000)
        self.told = TextEdit(label="")
        self.told.read_only = True
        super().__init__(
            widgets=[
                *(self.scan, self.file, self.series, self.model, self.scale, self.mask, self.slices, self.spacing),
                *(self.samples, self.output, self.uncertainty, self.consistent, self.seed),
                *(self.out, self.resume, self.overwrite),
                Container(widgets=[self.enhance, self.cancel], layout="horizontal", labels=False),
                *(self.bar, self.told),
            ]
        )
        self.enhance.changed.connect(self.begin)
        self.cancel.changed.connect(self.stop)
        for event in (napari_viewer.layers.events.inserted, napari_viewer.layers.events.removed):
            event.connect(self._offer_layers)
        self._offer_layers()
        self._tell(RESEARCH_NOTICE)

    @property
    def work(self) -> BackgroundWork | None:
        """The enhancement that runs, or ran last; None: there was none."""
        return self._work

    def begin(self) -> None:
        """Begin to enhance what the fields say; what cannot be is said in the panel."""
        if self._work is not None and self._work.running:
            return
        self.told.value = ""
        try:
            self._begin()
        except CtLoupeError as error:
            self._tell(f"error: {error}")

    def stop(self) -> None:
        """Ask the work to end."""
        if self._work is not None:
            self._tell("cancelling: at the next safe point")
            self._work.cancel()

    def look(self) -> None:
        """Show how far the work is; add the result when it has ended."""
        work = self._work
        if work is None:
            return
        running = work.running
        for line in work.lines():
            self._tell(line)
        self.bar.value = round(1000 * work.share)
        if running:
            return
        self._work_ended(work)

    def _begin(self) -> None:
        self._asked = asked = self._read_fields()
        folder = TemporaryDirectory(prefix="ctloupe-")
        try:
            request = asked.request(self._scan(Path(folder.name)))
        except BaseException:
            folder.cleanup()
            raise
        self._work = BackgroundWork(request, folder.cleanup)
        self.enhance.enabled, self.cancel.enabled = False, True
        self.bar.value = 0
        self._work.begin()
        self._watch()

    def _read_fields(self) -> Asked:
        return Asked(
            out=self.out.line_edit.value,
            model=self.model.line_edit.value,
            scale=self.scale.value,
            mask=self.mask.value,
            slices=self.slices.value,
            series=self.series.value,
            spacing=self.spacing.value,
            samples=self.samples.value,
            output=self.output.value,
            uncertainty=self.uncertainty.value,
            consistent=self.consistent.value,
            seed=self.seed.value,
            resume=self.resume.value,
            overwrite=self.overwrite.value,
        )

    def _scan(self, folder: Path) -> Path:
        """Return the file of the chosen scan, and note with which window its layer is shown."""
        self._window = WINDOW
        if self.scan.value in (None, FROM_FILE):
            text = self.file.line_edit.value.strip()
            if not text:
                raise OptionError("`scan`: choose a layer or a file")
            return Path(text)
        layer = self._viewer.layers[self.scan.value]
        low, high = layer.contrast_limits
        self._window = float(low), float(high)
        return scan_of(layer, folder)

    def _work_ended(self, work: BackgroundWork) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._work = None
        self.enhance.enabled, self.cancel.enabled = True, False
        if work.error is None:
            self._tell("finished")
            self._add_layers()
        elif isinstance(work.error, CtLoupeError):
            self._tell(str(work.error) if work.cancelled else f"error: {work.error}")
        elif work.cancelled:
            self._tell("cancelled; nothing was written")
        else:
            # A bug: napari shows where it was.
            raise work.error

    def _add_layers(self) -> None:
        from napari.layers import Layer

        for path in self._asked.made:
            data, keywords, kind = layer_of(read(path), path)
            if path == self._asked.uncertainty_path:
                # σ is shown by its own range, and not at once: it would hide what it is of.
                keywords = keywords | {"contrast_limits": None, "colormap": "magma", "visible": False}
            else:
                keywords = keywords | {"contrast_limits": self._window}
            self._viewer.add_layer(Layer.create(data, keywords, kind))

    def _tell(self, line: str) -> None:
        self.told.value = f"{self.told.value}{line}\n".lstrip("\n")

    def _choices(self, widget: Any) -> list[str]:
        from napari.layers import Image

        found = [one for one in self._viewer.layers if isinstance(one, Image) and not one.rgb and one.ndim == 3]
        # Layers of this plugin come first: their files are known.
        found.sort(key=lambda one: METADATA not in one.metadata)
        return [*(one.name for one in found), FROM_FILE]

    def _offer_layers(self, event: Any = None) -> None:
        kept = self.scan.value
        self.scan.reset_choices()
        with suppress(ValueError):
            self.scan.value = kept

    def _watch(self) -> None:
        """Look again and again, where there is a loop of events that can call; elsewhere whoever began it looks."""
        if self._timer is None:
            from magicgui.application import use_app

            if use_app().backend_name != "qt":
                return
            core: Any = import_module("qtpy.QtCore")
            self._timer = core.QTimer(self.native)
            self._timer.timeout.connect(self.look)
        self._timer.start(POLL_MS)

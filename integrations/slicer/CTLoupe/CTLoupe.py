"""CT Loupe in 3D Slicer: enhances a volume of the scene with the ``ctloupe`` that is installed beside Slicer.

Nothing of CT Loupe is imported into Slicer's Python: the scan goes to a temporary file, the command runs in a process
of its own, and its result is loaded where it lies. What needs no Slicer is in ``CTLoupeLib``.
"""

import ctk
import qt
import slicer
from CTLoupeLib.command import SPACINGS, CommandError, Enhancement, clean_environment, find_command
from CTLoupeLib.grid import grid_of, require_same_place
from CTLoupeLib.process import EnhanceProcess
from CTLoupeLib.work_folder import WorkFolder
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

NOTICE = "Research use only. Not for diagnosis or treatment. Fine detail is synthesised, not measured."
POLL_MS = 200
SETTINGS = "CTLoupe/"


class CTLoupe(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "CT Loupe"
        self.parent.categories = ["Filtering"]
        self.parent.dependencies = []
        self.parent.contributors = ["The CT Loupe contributors"]
        self.parent.helpText = (
            "Takes a clinical CT to micro-CT scale with the installed command <tt>ctloupe</tt>, which runs beside "
            f"Slicer. {NOTICE}"
        )
        self.parent.acknowledgementText = "Apache-2.0."


class CTLoupeWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def setup(self):
        """Build the fields."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = CTLoupeLogic()
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.look)
        self.build_volumes()
        self.build_model()
        self.build_command()
        self.build_buttons()
        self.layout.addStretch(1)

    def cleanup(self):
        """End what runs when Slicer closes, or the module is loaded again."""
        self.timer.stop()
        self.logic.abandon()

    def form(self, title, collapsed=False):
        """Add a part of the panel that can be closed, and return its form."""
        box = ctk.ctkCollapsibleButton()
        box.text = title
        box.collapsed = collapsed
        self.layout.addWidget(box)
        return qt.QFormLayout(box)

    def build_volumes(self):
        """Add which volume, and where in it."""
        form = self.form("Volumes")
        self.scan = self.selector("vtkMRMLScalarVolumeNode", "Clinical CT in HU.", optional=False)
        self.mask_volume = self.selector("vtkMRMLLabelMapVolumeNode", "Where to enhance; none: the mask below.", True)
        self.mask = self.choice(("auto", "lungs", "box", "none"), "auto: what the model was trained in.")
        self.slices = qt.QLineEdit()
        self.slices.setPlaceholderText("all, or a:b")
        form.addRow("Scan", self.scan)
        form.addRow("Mask volume", self.mask_volume)
        form.addRow("Mask", self.mask)
        form.addRow("Slices", self.slices)

    def build_model(self):
        """Add which model, and how it is applied."""
        form = self.form("Model")
        self.model = qt.QLineEdit(str(setting("Model")))
        self.model.setPlaceholderText("built in; or the folder of a model package, or a name such as bicubic")
        browse = qt.QPushButton("Choose folder")
        browse.connect("clicked()", self.choose_model)
        row = qt.QHBoxLayout()
        row.addWidget(self.model)
        row.addWidget(browse)
        self.scale = self.number(64, "In-plane enlargement; 0: the model's own.")
        self.spacing = self.choice(SPACINGS, "What to do with a spacing that the model was not trained at.")
        self.output = self.choice(("mean", "sample"), "What a flow gives.")
        self.samples = self.number(1000, "Passes or samples to average; 0: none.")
        self.uncertainty = qt.QCheckBox()
        self.uncertainty.toolTip = "Load the standard deviation in HU too, where the model gives one."
        self.consistent = qt.QCheckBox()
        self.consistent.toolTip = "Correct the result so that it agrees with the scan."
        self.seed = self.number(2**31 - 1, "Seed of calibration, dropout and samples.")
        form.addRow("Model", row)
        form.addRow("Scale", self.scale)
        form.addRow("Spacing", self.spacing)
        form.addRow("Output", self.output)
        form.addRow("Samples", self.samples)
        form.addRow("Uncertainty", self.uncertainty)
        form.addRow("Consistent", self.consistent)
        form.addRow("Seed", self.seed)

    def build_command(self):
        """Add where the command is."""
        form = self.form("Installed command", collapsed=True)
        self.command = qt.QLineEdit(str(setting("Command")))
        self.command.setPlaceholderText("searched on the PATH; or its path, or the folder of its environment")
        form.addRow("ctloupe", self.command)

    def build_buttons(self):
        """Add what begins, what ends, and what is told."""
        self.begin_button = qt.QPushButton("Enhance")
        self.begin_button.connect("clicked()", self.begin)
        self.cancel_button = qt.QPushButton("Cancel")
        self.cancel_button.enabled = False
        self.cancel_button.connect("clicked()", self.cancel)
        row = qt.QHBoxLayout()
        row.addWidget(self.begin_button)
        row.addWidget(self.cancel_button)
        self.layout.addLayout(row)
        self.bar = qt.QProgressBar()
        self.bar.setRange(0, 1000)
        self.layout.addWidget(self.bar)
        self.told = qt.QPlainTextEdit()
        self.told.setReadOnly(True)
        self.layout.addWidget(self.told)
        notice = qt.QLabel(NOTICE)
        notice.setWordWrap(True)
        self.layout.addWidget(notice)

    def selector(self, kind, tip, optional):
        """Return a choice among the nodes of the scene."""
        made = slicer.qMRMLNodeComboBox()
        made.nodeTypes = [kind]
        made.addEnabled = made.removeEnabled = made.renameEnabled = False
        made.noneEnabled = optional
        made.showChildNodeTypes = False
        made.setMRMLScene(slicer.mrmlScene)
        made.toolTip = tip
        return made

    def choice(self, texts, tip):
        """Return a choice among texts."""
        made = qt.QComboBox()
        made.addItems(list(texts))
        made.toolTip = tip
        return made

    def number(self, largest, tip):
        """Return a field for a number from 0 on."""
        made = qt.QSpinBox()
        made.setRange(0, largest)
        made.toolTip = tip
        return made

    def choose_model(self):
        """Let the folder of a model be chosen."""
        folder = qt.QFileDialog.getExistingDirectory(None, "Folder of a model package")
        if folder:
            self.model.text = folder

    def asked(self):
        """Return what the fields say."""
        return Enhancement(
            model=self.model.text,
            scale=self.scale.value,
            mask=self.mask.currentText,
            slices=self.slices.text,
            spacing=self.spacing.currentText,
            samples=self.samples.value,
            output=self.output.currentText,
            uncertainty=self.uncertainty.checked,
            consistent=self.consistent.checked,
            seed=self.seed.value,
        )

    def begin(self):
        """Export, and start the command."""
        self.told.clear()
        remember("Command", self.command.text)
        remember("Model", self.model.text)
        try:
            self.logic.begin(self.scan.currentNode(), self.mask_volume.currentNode(), self.asked(), self.command.text)
        except CommandError as error:
            self.told.appendPlainText(f"error: {error}")
            return
        self.set_running(True)
        self.timer.start()

    def cancel(self):
        """Ask the command to end; pressed again, end it."""
        self.told.appendPlainText("cancelling")
        self.logic.cancel()

    def look(self):
        """Show how far the command is; load the result when it has ended."""
        # Asked first, so that the last lines are not missed.
        running = self.logic.running
        for line in self.logic.lines():
            self.told.appendPlainText(line)
        self.bar.value = round(1000 * self.logic.share)
        if running:
            return
        self.timer.stop()
        self.set_running(False)
        try:
            self.logic.finish()
        except CommandError as error:
            self.told.appendPlainText(f"not loaded: {error}")
        else:
            self.bar.value = 1000
            self.told.appendPlainText("loaded")

    def set_running(self, running):
        """Let one of the two buttons be pressed."""
        self.begin_button.enabled = not running
        self.cancel_button.enabled = running


class CTLoupeLogic(ScriptedLoadableModuleLogic):
    """An enhancement from a node of the scene to new nodes."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._process = None
        self._folder = None
        self._scan = None
        self._asked = None

    @property
    def running(self):
        """Whether the command runs."""
        return self._process is not None and self._process.running

    @property
    def share(self):
        """How much is done, 0 to 1."""
        return 0.0 if self._process is None else self._process.share

    def begin(self, scan, mask, asked, command):
        """Export `scan`, and `mask` where there is one, and start the command.

        Raises
        ------
        CommandError
            If there is no scan, it cannot be exported, or there is no command.
        """
        if self.running:
            raise CommandError("an enhancement is running already")
        if scan is None:
            raise CommandError("choose a volume of the scene as the scan")
        environment = clean_environment(slicer.util.startupEnvironment())
        program = find_command(command, environment)
        self.abandon()
        self._folder, self._scan, self._asked = WorkFolder(), scan, asked
        try:
            export(scan, self._folder.scan)
            if mask is not None:
                export(mask, self._folder.mask)
            arguments = asked.arguments(
                self._folder.scan,
                self._folder.enhanced,
                self._folder.uncertainty,
                self._folder.mask if mask is not None else None,
            )
            self._process = EnhanceProcess([program, *arguments], environment)
        except OSError as error:
            self.abandon()
            raise CommandError(f"{program} cannot be started: {error.strerror}") from error
        except CommandError:
            self.abandon()
            raise

    def lines(self):
        """Return what the command has said since the last call."""
        return [] if self._process is None else self._process.lines()

    def cancel(self):
        """Ask the command to end."""
        if self._process is not None:
            self._process.cancel()

    def finish(self):
        """Load what the command has made, and return the nodes.

        Raises
        ------
        CommandError
            If it did not end well, or the result does not lie where the scan does.
        """
        try:
            if not self._process.succeeded:
                raise CommandError(self._process.failure())
            grid = grid_of(self._folder.scan)
            require_same_place(grid, grid_of(self._folder.enhanced))
            enhanced = load(self._folder.enhanced, f"{self._scan.GetName()} enhanced")
            as_displayed(self._scan, enhanced)
            made = [enhanced]
            if self._asked.with_uncertainty:
                made.append(load(self._folder.uncertainty, f"{self._scan.GetName()} uncertainty"))
            slicer.util.setSliceViewerLayers(background=enhanced)
            return made
        finally:
            self.abandon()

    def abandon(self):
        """End the command where it runs, and remove its files."""
        if self.running:
            # Asked and then told: Slicer does not wait for it.
            self._process.cancel()
            self._process.cancel()
        if self._folder is not None:
            self._folder.remove()
        self._process = self._folder = self._scan = self._asked = None


def setting(name):
    """Return what was typed in last time."""
    return qt.QSettings().value(SETTINGS + name, "") or ""


def remember(name, text):
    """Keep what was typed in for the next time."""
    qt.QSettings().setValue(SETTINGS + name, text)


def export(node, path):
    """Write a volume to a file under a name that says nothing.

    Raises
    ------
    CommandError
        If it is moved by a transform, which the file would not say, or Slicer cannot write it.
    """
    if node.GetParentTransformNode() is not None:
        raise CommandError("the volume is under a transform; harden the transform first")
    if not slicer.util.exportNode(node, str(path), {"useCompression": 0}) or not path.is_file():
        raise CommandError("Slicer could not write the volume to a temporary file")


def load(path, name):
    """Load a volume into the scene, and free its node of the temporary file.

    Raises
    ------
    CommandError
        If Slicer cannot read it.
    """
    try:
        node = slicer.util.loadVolume(str(path), {"name": name, "singleFile": True})
    except RuntimeError as error:
        raise CommandError("Slicer could not load the result") from error
    storage = node.GetStorageNode()
    if storage is not None:
        slicer.mrmlScene.RemoveNode(storage)
    return node


def as_displayed(scan, node):
    """Show a volume with the window of the scan."""
    shown, display = scan.GetDisplayNode(), node.GetDisplayNode()
    if shown is not None and display is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevel(shown.GetWindow(), shown.GetLevel())


class CTLoupeTest(ScriptedLoadableModuleTest):
    """What Slicer's own test button runs: an interpolation by the installed command."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run the test."""
        self.setUp()
        self.test_a_volume_is_enlarged_in_its_place()

    def test_a_volume_is_enlarged_in_its_place(self):
        """The bounds of the result are those of the scan."""
        import numpy as np

        values = np.random.default_rng(0).normal(-700, 100, (3, 32, 40)).astype(np.int16)
        scan = slicer.util.addVolumeFromArray(values)
        scan.SetSpacing(0.8, 0.7, 2.0)
        scan.SetOrigin(10.0, -20.0, 30.0)
        logic = CTLoupeLogic()
        logic.begin(scan, None, Enhancement(model="bicubic", scale=2, mask="none"), str(setting("Command")))
        while logic.running:
            slicer.app.processEvents()
        logic.lines()
        [made] = logic.finish()
        expected, found = [0.0] * 6, [0.0] * 6
        scan.GetRASBounds(expected)
        made.GetRASBounds(found)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        self.delayDisplay("Test passed")

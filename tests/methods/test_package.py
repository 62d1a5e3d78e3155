"""A model package comes back as it was saved; what is damaged or foreign in it is named by file and key."""

import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctloupe import methods
from ctloupe.foundation.errors import FileError, ModelError
from ctloupe.methods.package import Fingerprint, ModelCard, load_package, save_package
from small_config import SMALL


def fingerprint():
    return Fingerprint(
        clinical_spacing=(0.6, 0.6),
        micro_spacing=(0.15, 0.15),
        clinical_percentiles={"50": -800.0},
        micro_percentiles={"50": 9000.0},
        patches={"clinical": 4, "micro": 4},
    )


@pytest.fixture
def package(tmp_path):
    kind = methods.get("sr-cyclegan")
    config = kind.configure("tiny", SMALL)
    torch.manual_seed(0)
    card = ModelCard(
        method=kind.name,
        config=config.model_dump(mode="json"),
        scale=config.scale,
        clinical_window=(-1000, 500),
        micro_window=(0, 15000),
        fingerprint=fingerprint(),
        software={"ctloupe": "0.7.1"},
    )
    save_package(tmp_path / "model", kind.make_enhancer(config), card)
    return tmp_path / "model"


def change(package, **values):
    file = package / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_package_comes_back_as_it_was_saved(package):
    loaded = load_package(package)
    assert loaded.config.scale == SMALL["scale"] and loaded.card.method == "sr-cyclegan"
    stored = load_file(package / "weights.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in loaded.enhancer.state_dict().items())
    assert not loaded.enhancer.training


def test_what_is_written_may_be_read_by_whom_the_umask_allows(package):
    previous = os.umask(0o027)
    try:
        loaded = load_package(package)
        save_package(package, loaded.enhancer, loaded.card)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(package.stat().st_mode) == 0o750
    assert {stat.S_IMODE(file.stat().st_mode) for file in package.iterdir()} == {0o640}


def test_a_folder_without_a_description_is_said_to_have_none(tmp_path):
    with pytest.raises(FileError, match=r"model\.json: no model description is here; give the folder 'model'"):
        load_package(tmp_path)


def test_a_description_that_is_not_json_or_lacks_a_key_is_named_with_the_key(package):
    change(package, scale="eight")
    with pytest.raises(FileError, match=r"model\.json: not a valid model description: key 'scale': .*found 'eight'"):
        load_package(package)
    (package / "model.json").write_text("{")
    with pytest.raises(FileError, match=r"model\.json: not a valid model description"):
        load_package(package)


def test_an_unknown_configuration_key_is_named_with_the_version_that_wrote_it(package):
    config = json.loads((package / "model.json").read_text())["config"]
    change(package, config=config | {"depth_of_field": 3})
    with pytest.raises(ModelError, match=r"model\.json: configuration: key 'depth_of_field'.*ctloupe 0\.7\.1"):
        load_package(package)


def test_weights_that_do_not_fit_or_are_not_finite_are_refused(package):
    file = package / "weights.safetensors"
    tensors = load_file(file)
    save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, file)
    with pytest.raises(ModelError, match="NaN or infinity"):
        load_package(package)
    save_file(tensors | {"more": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match="do not fit the configuration"):
        load_package(package)
    file.write_bytes(b"no weights")
    with pytest.raises(FileError, match=r"weights\.safetensors: missing or damaged"):
        load_package(package)


def test_a_package_from_before_a_key_was_there_goes_on_as_it_was_trained_and_says_so(package):
    assert load_package(package).notes == ()
    description = json.loads((package / "model.json").read_text())
    del description["config"]["neck_padding"]
    change(package, config=description["config"])
    loaded = load_package(package)
    assert loaded.config.neck_padding == "zeros" == loaded.enhancer.neck[0].padding_mode
    assert loaded.notes == (
        "the model was trained before there was neck_padding; it goes on with zeros, which today is another",
    )

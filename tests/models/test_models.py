"""Trained models are packed, fetched, checked, and then used by their names."""

import hashlib
import http.server
import json
import threading
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ctloupe.enhance.resolver import load_model
from ctloupe.foundation.errors import CtLoupeError, FileError, ModelError, OptionError
from ctloupe.methods.package import load_package
from ctloupe.models.get import GetRequest, get_model
from ctloupe.models.names import installed, model_path
from ctloupe.models.opened import open_package
from ctloupe.models.pack import PackRequest, pack_model
from ctloupe.models.show import card_of
from ctloupe.volume.volume import Volume


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of models of one test's own."""
    monkeypatch.setenv("CTLOUPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pack(tiny_model, tmp_path):
    """A function that packs a small model into a file."""

    def make(name="small", **options):
        out = tmp_path / f"{name}.ctloupe"
        pack_model(PackRequest(tiny_model, out, name, overwrite=True, **options))
        return out

    return make


def scan():
    values = np.random.default_rng(0).normal(-800, 100, (1, 24, 24)).round().astype(np.int16)
    return Volume(values, (1.0, 0.6, 0.6), modality="clinical", units="HU")


def test_a_packed_model_enhances_as_the_one_that_was_packed(pack, tiny_model):
    packed, plain = load_model(pack()), load_model(tiny_model)
    np.testing.assert_array_equal(packed.enhance(scan()).data, plain.enhance(scan()).data)
    assert packed.model.name == "small (sr-cyclegan)"


def test_a_model_is_packed_into_the_same_bytes_again(pack):
    first = pack().read_bytes()
    assert pack().read_bytes() == first


def test_half_precision_halves_the_file_and_is_close(pack, tiny_model):
    half = pack("half", half=True)
    sizes = [zipfile.ZipFile(one).getinfo("weights.safetensors").file_size for one in (half, pack())]
    assert sizes[0] < 0.75 * sizes[1]
    exact = load_package(tiny_model).enhancer.state_dict()
    for name, tensor in open_package(half)[0].enhancer.state_dict().items():
        assert tensor.dtype == exact[name].dtype
        torch.testing.assert_close(tensor, exact[name], rtol=1e-3, atol=1e-5)


def test_a_fetched_model_is_used_by_its_name(pack, cache):
    found = get_model(GetRequest(str(pack(about="for a test"))))
    assert found.folder == cache / "models" / "small" and found.source == "fetched"
    assert [one.record.about for one in installed() if one.source == "fetched"] == ["for a test"]
    assert load_model("small").scale == open_package(found.folder)[0].card.scale
    with pytest.raises(FileError, match="exists already"):
        get_model(GetRequest(str(pack())))


def test_a_path_goes_before_a_name(pack, tmp_path, monkeypatch, tiny_model):
    get_model(GetRequest(str(pack())))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").symlink_to(tiny_model)
    assert model_path("small").samefile(tiny_model)


def test_a_name_that_nobody_knows_lists_those_that_are_known(pack):
    get_model(GetRequest(str(pack())))
    with pytest.raises(OptionError, match=r"`model` smal: .*names here: .*small, bicubic, nearest, lanczos"):
        model_path("smal", ("bicubic", "nearest", "lanczos"))


def test_what_is_to_be_tried_is_said_at_every_use(pack):
    packed = pack(demonstration="A demonstration: look, do not measure.")
    assert load_model(packed).model.notes[0] == "A demonstration: look, do not measure."
    assert "A demonstration: look, do not measure." in card_of(packed)


def test_a_model_may_be_used_at_the_voxel_sizes_that_its_packer_names(pack):
    model = load_model(pack(spacing=(0.5, 1.0))).model
    assert model.takes_spacing((0.842, 0.842)) and not model.takes_spacing((1.2, 1.2))
    assert not load_model(pack()).model.takes_spacing((0.842, 0.842))


def test_the_card_tells_training_range_licence_and_what_was_measured(pack, tiny_flow, tmp_path):
    pack_model(
        PackRequest(
            tiny_flow,
            tmp_path / "flow.ctloupe",
            "flow",
            metrics={"x, version 1: mine: PSNR (dB)": 17.3, "x, version 1: bicubic: PSNR (dB)": 16.1},
        )
    )
    told = card_of(tmp_path / "flow.ctloupe")
    assert told.startswith("# flow\n") and "Research use only" in told
    for part in (
        "noise of the scanner | 0 to",
        "HU",
        "Apache-2.0",
        "Protocol x, version 1.",
        "| metric | mine | bicubic |",
        "| PSNR (dB) | 17.3 | 16.1 |",
        "seed 0",
    ):
        assert part in told
    with zipfile.ZipFile(tmp_path / "flow.ctloupe") as archive:
        assert archive.read("CARD.md").decode() == told
        assert b"Apache License" in archive.read("LICENSE")


def test_a_licence_other_than_ours_needs_its_text(pack, tmp_path):
    with pytest.raises(OptionError, match=r"`licence` CC-BY-4\.0: give its text with `licence_file`"):
        pack(licence="CC-BY-4.0")
    (tmp_path / "terms.txt").write_text("Cite us.")
    assert "CC-BY-4.0" in card_of(pack(licence="CC-BY-4.0", licence_file=tmp_path / "terms.txt"))


def changed(path, name, content, compression=zipfile.ZIP_STORED):
    """Write an archive anew with one file changed or added."""
    with zipfile.ZipFile(path) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for one, held in (files | {name: content}).items():
            archive.writestr(one, held)
    return path


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("weights.safetensors", b"other weights", "weights.safetensors: is not the file that was packed"),
        ("CARD.md", b"# trust me", "CARD.md: is not the file that was packed"),
        ("weights.pkl", b"\x80\x04.", "holds 'weights.pkl', which no packed model does"),
        ("../../evil.py", b"print()", r"holds '\.\./\.\./evil\.py', which no packed model does"),
        ("package.json", b"{}", "not a valid record of a packed model"),
    ],
)
def test_what_is_not_as_it_was_packed_is_refused_and_nothing_is_kept(pack, cache, name, content, told):
    with pytest.raises(CtLoupeError, match=told):
        get_model(GetRequest(str(changed(pack(), name, content))))
    assert not (cache / "models" / "small").exists()


def test_what_is_compressed_is_refused_before_it_is_unpacked(pack):
    path = changed(pack(), "LICENSE", b"0" * 100_000, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="is compressed, which no packed model is"):
        open_package(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"hello" * 100])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "odd.ctloupe").write_bytes(content)
    with pytest.raises(FileError, match=r"odd\.ctloupe: not a packed model, or a damaged one"):
        open_package(tmp_path / "odd.ctloupe")


def test_a_model_that_was_changed_after_it_was_fetched_is_refused(pack):
    folder = get_model(GetRequest(str(pack()))).folder
    (folder / "weights.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(ModelError, match="its checksum differs; get the model again"):
        load_model("small")


@pytest.fixture
def key(tmp_path):
    """A private key in its file, and its public part in base64."""
    private = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_a_signature_says_who_packed_a_model(pack, key):
    said = []
    signed = pack(key=key)
    with zipfile.ZipFile(signed) as archive:
        public = json.loads(archive.read("package.sig"))["public_key"]
    get_model(GetRequest(str(signed), public_key=public), said.append)
    assert said == [f"small is signed by the key {public}"]


def test_a_model_that_somebody_else_signed_or_nobody_is_refused(pack, key):
    for options, who in (({}, "nobody"), ({"key": key}, ".{44}")):
        packed = pack(**options)
        with pytest.raises(ModelError, match=f"signed by {who}, expected AAAA; do not use it"):
            get_model(GetRequest(str(packed), public_key="AAAA"))


def test_a_record_that_was_changed_after_it_was_signed_is_refused(pack, key):
    signed = pack(key=key)
    with zipfile.ZipFile(signed) as archive:
        record = json.loads(archive.read("package.json")) | {"about": "better"}
    with pytest.raises(ModelError, match=r"the signature is not that of package\.json"):
        get_model(GetRequest(str(changed(signed, "package.json", json.dumps(record).encode()))))


@pytest.fixture
def served(tmp_path):
    """Address of the test's folder on a server of its own."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_is_fetched_from_its_address(pack, served, cache):
    packed = pack()
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    get_model(GetRequest(f"{served}/small.ctloupe", checksum=digest))
    assert load_model("small").scale
    assert not list((cache / "models" / "archives").glob("*.ctloupe"))
    with pytest.raises(FileError, match="has the checksum"):
        get_model(GetRequest(f"{served}/small.ctloupe", checksum="0" * 64, overwrite=True))


def test_a_model_is_fetched_by_its_name_in_an_index(pack, served, tmp_path):
    packed = pack()
    entry = {
        "address": f"{served}/small.ctloupe",
        "sha256": "sha256:" + hashlib.sha256(packed.read_bytes()).hexdigest(),
        "size": packed.stat().st_size,
    }
    (tmp_path / "index.json").write_text(json.dumps({"models": {"small": entry}}))
    get_model(GetRequest("small", index=tmp_path / "index.json"))
    assert load_model("small").scale
    with pytest.raises(OptionError, match=r"no such name in the index \(its names: small\).*Without a network"):
        get_model(GetRequest("large", index=tmp_path / "index.json"))

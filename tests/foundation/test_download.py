"""Files come whole and right from a real web server, go on where they broke off, and every failure is one line."""

import hashlib
import os
import socket
import stat
from pathlib import Path

import numpy as np
import pytest

from ctloupe.foundation import download_part
from ctloupe.foundation.download import cache_folder, checked_checksum, fetch
from ctloupe.foundation.errors import FileError, OptionError
from file_server import FileServer, serving

CONTENT = np.random.default_rng(1).bytes(3_000_001)
OTHER = np.random.default_rng(2).bytes(2_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving(FileServer({"scan.nii.gz": CONTENT})) as started:
        yield started


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "scan.nii.gz"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download_part.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "*")


class Told:
    """Progress that is kept."""

    def __init__(self):
        self.starts, self.done, self.closed = [], [], 0

    def start(self, what, total):
        self.starts.append((what, total))

    def update(self, done, note=""):
        self.done.append(done)

    def close(self):
        self.closed += 1


def alone(target):
    return [one.name for one in target.parent.iterdir()] == [target.name]


def test_a_file_comes_whole_with_its_checksum_and_says_how_far_it_is(server, target):
    told = Told()
    found = fetch(server.address("scan.nii.gz"), target, checksum=SHA256, size=len(CONTENT), progress=told)
    assert target.read_bytes() == CONTENT and alone(target)
    assert (found.path, found.sha256, found.size, found.new) == (target, f"sha256:{SHA256}", len(CONTENT), True)
    assert told.starts == [("scan.nii.gz", len(CONTENT))] and told.done[-1] == len(CONTENT) and told.closed == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_there_and_right_is_not_asked_for_again_and_what_is_wrong_is_kept(server, target):
    address = server.address("scan.nii.gz")
    fetch(address, target)
    asked = len(server.asked)
    assert not fetch(address, target, checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}").new
    assert len(server.asked) == asked
    with pytest.raises(FileError, match=r"exists already and has \d+ bytes, expected 7; .* `overwrite`"):
        fetch(address, target, size=7)
    target.write_bytes(b"other")
    with pytest.raises(FileError, match=f"checksum sha256:.*, expected sha256:{SHA256}"):
        fetch(address, target, checksum=SHA256)
    assert target.read_bytes() == b"other"
    assert fetch(address, target, checksum=SHA256, overwrite=True).new and target.read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_in_the_same_run(server, target):
    server.breaks = [1_000_000, 500_000]
    assert fetch(server.address("scan.nii.gz"), target, checksum=SHA256).new
    assert [one.get("Range") for one in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert {one.get("If-Range") for one in server.asked[1:]} == {'"first"'}
    assert target.read_bytes() == CONTENT and alone(target)


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server, target):
    server.breaks = [1_000_000]
    with pytest.raises(FileError, match=r"1\.0 MB are kept, and the same command goes on"):
        fetch(server.address("scan.nii.gz"), target, tries=1)
    assert not target.exists()
    fetch(server.address("scan.nii.gz"), target)
    assert server.asked[-1]["Range"] == "bytes=1000000-" and target.read_bytes() == CONTENT


def test_a_part_that_was_whole_already_only_gets_its_name(server, target):
    server.breaks = [1_000_000]
    with pytest.raises(FileError):
        fetch(server.address("scan.nii.gz"), target, tries=1)
    (target.parent / ".scan.nii.gz.part").write_bytes(CONTENT)
    fetch(server.address("scan.nii.gz"), target)
    assert server.asked[-1]["Range"] == f"bytes={len(CONTENT)}-" and target.read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", [None, hashlib.sha256(OTHER).hexdigest()])
def test_a_file_that_was_changed_meanwhile_comes_from_its_beginning(server, target, checksum):
    server.breaks = [1_000_000]
    with pytest.raises(FileError):
        fetch(server.address("scan.nii.gz"), target, tries=1)
    server.files["scan.nii.gz"], server.tag = OTHER, '"second"'
    fetch(server.address("scan.nii.gz"), target, checksum=checksum)
    assert server.asked[-1]["If-Range"] == '"first"' and target.read_bytes() == OTHER


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_version_only_a_checksum_lets_a_part_be_used_and_a_wrong_whole_begins_anew(server, target, tag):
    server.tag, server.breaks = tag, [1_000_000]
    with pytest.raises(FileError):
        fetch(server.address("scan.nii.gz"), target, tries=1)
    fetch(server.address("scan.nii.gz"), target)
    assert "Range" not in server.asked[-1] and target.read_bytes() == CONTENT
    target.unlink()
    server.breaks = [1_000_000]
    with pytest.raises(FileError):
        fetch(server.address("scan.nii.gz"), target, tries=1, checksum=SHA256)
    server.files["scan.nii.gz"] = OTHER
    fetch(server.address("scan.nii.gz"), target, checksum=hashlib.sha256(OTHER).hexdigest())
    assert [one.get("Range") for one in server.asked[-2:]] == ["bytes=1000000-", None]
    assert target.read_bytes() == OTHER


def test_a_server_without_parts_sends_everything_again(server, target):
    server.ranges, server.breaks = False, [1_000_000]
    fetch(server.address("scan.nii.gz"), target, checksum=SHA256)
    assert target.read_bytes() == CONTENT and len(server.asked) == 2


def test_a_part_of_another_address_is_not_used(server, target):
    server.files["other.nii.gz"], server.breaks = OTHER, [1_000_000]
    with pytest.raises(FileError):
        fetch(server.address("scan.nii.gz"), target, tries=1)
    fetch(server.address("other.nii.gz"), target)
    assert "Range" not in server.asked[-1] and target.read_bytes() == OTHER


def test_a_server_that_always_breaks_is_given_up(server, target):
    server.ranges, server.breaks = False, [1000] * 9
    with pytest.raises(FileError, match=r"connection to 127\.0\.0\.1 broke"):
        fetch(server.address("scan.nii.gz"), target)
    assert len(server.asked) == 3 and not target.exists()


def test_a_busy_server_is_asked_again(server, target):
    server.statuses["scan.nii.gz"] = [503, 429]
    assert fetch(server.address("scan.nii.gz"), target).new
    server.statuses["busy"] = [503] * 9
    with pytest.raises(FileError, match="503 Service Unavailable; check the address, or download it elsewhere"):
        fetch(server.address("busy"), target.parent / "busy")


def test_a_wrong_checksum_names_both_and_leaves_nothing(server, target):
    with pytest.raises(FileError, match=f"checksum sha256:{SHA256}, expected sha256:{'0' * 64}; it was removed"):
        fetch(server.address("scan.nii.gz"), target, checksum="0" * 64)
    assert not target.parent.exists()


def test_a_file_of_another_size_than_was_published_is_not_even_begun(server, target):
    with pytest.raises(FileError, match=f"the server has {len(CONTENT)} bytes, expected 12; .* put it at {target}"):
        fetch(server.address("scan.nii.gz"), target, size=12)
    assert not target.parent.exists()


@pytest.mark.parametrize(("status", "says"), [(404, "404 Not Found"), (403, "403 Forbidden; it asks for a login")])
def test_a_refusal_of_the_server_says_what_to_do(server, target, status, says):
    server.statuses["scan.nii.gz"] = [status]
    with pytest.raises(FileError, match=f"{says}.*or download it elsewhere and put it at {target}"):
        fetch(server.address("scan.nii.gz"), target)
    assert not target.parent.exists()


def test_a_page_instead_of_a_file_is_refused(server, target):
    server.headers["Content-Type"] = "text/html; charset=utf-8"
    with pytest.raises(FileError, match="a page to read instead of the file"):
        fetch(server.address("scan.nii.gz"), target)


def test_nobody_at_the_address_is_said_in_words(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FileError, match=r"127\.0\.0\.1 refuses the connection; .* put it at"):
        fetch(f"http://127.0.0.1:{port}/scan.nii.gz", target)
    with pytest.raises(FileError, match=r"no address answers to the name nowhere\.invalid"):
        fetch("https://nowhere.invalid/scan.nii.gz", target)


def test_redirects_are_followed_to_web_servers_only_and_not_without_end(server, target, tmp_path):
    server.redirects = {"there": "/scan.nii.gz", "round": "/round", "file": f"file://{tmp_path}/secret"}
    (tmp_path / "secret").write_bytes(b"secret")
    assert fetch(server.address("there"), target).size == len(CONTENT)
    with pytest.raises(FileError, match=r"leads to file:///.*, which is not followed"):
        fetch(server.address("file"), tmp_path / "stolen")
    with pytest.raises(FileError, match="without end"):
        fetch(server.address("round"), tmp_path / "round")
    assert not (tmp_path / "stolen").exists()


def test_a_file_that_does_not_fit_on_the_disk_is_refused_before_it_comes(server, target):
    server.headers["Content-Length"] = str(10**18)
    server.length = False
    with pytest.raises(FileError, match=r"1000000000\.00 GB are to come and .* are free; free some space"):
        fetch(server.address("scan.nii.gz"), target)
    assert not target.exists()


def test_a_length_that_is_not_said_and_a_compression_that_was_not_asked_for_change_nothing(server, target):
    server.length, server.headers["Content-Encoding"] = False, "gzip"
    assert fetch(server.address("scan.nii.gz"), target, checksum=SHA256).size == len(CONTENT)


def test_passwords_and_keys_in_addresses_are_in_no_message_and_no_file(server, target):
    server.breaks = [1000]
    address = f"http://ann:sesame@127.0.0.1:{server.port}/scan.nii.gz?key=hidden"
    with pytest.raises(FileError) as told:
        fetch(address, target, tries=1)
    texts = [str(told.value), *(one.read_text(errors="replace") for one in target.parent.iterdir())]
    assert not [text for text in texts if "sesame" in text or "hidden" in text]
    assert server.asked[0]["Authorization"].startswith("Basic ") and server.asked[0]["path"].endswith("?key=hidden")


def test_a_file_of_this_machine_is_copied_and_never_replaced_by_itself(target, tmp_path):
    source = tmp_path / "a file.bin"
    source.write_bytes(CONTENT)
    told = Told()
    assert fetch(source.as_uri(), target, checksum=SHA256, progress=told).new
    assert target.read_bytes() == CONTENT and alone(target) and told.done[-1] == len(CONTENT)
    with pytest.raises(FileError, match="is the input"):
        fetch(source.as_uri(), source, size=3, overwrite=True)
    with pytest.raises(FileError, match="no such file"):
        fetch(f"file://{tmp_path}/none", tmp_path / "copy")
    assert source.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "address", ["scan.nii.gz", "ftp://host/scan", "s3://bucket/scan", "https:///scan", "http://[a"]
)
def test_what_is_no_address_is_refused(address, target):
    with pytest.raises(OptionError, match="not an address"):
        fetch(address, target)


def test_a_checksum_is_read_in_any_of_its_ways():
    assert checked_checksum(SHA256.upper()) == checked_checksum(f"SHA256:{SHA256}") == f"sha256:{SHA256}"
    for wrong in ("", "md5:12", f"crc32:{SHA256}", "z" * 64):
        with pytest.raises(OptionError, match="checksum"):
            checked_checksum(wrong)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("CTLOUPE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "ctloupe"
    monkeypatch.setenv("CTLOUPE_CACHE", "~/models")
    assert cache_folder() == Path("~/models").expanduser()

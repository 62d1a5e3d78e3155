"""A view as a frame in a notebook."""

import urllib.request

import numpy as np
import pytest

import ctloupe
from ctloupe.foundation.errors import FileError
from ctloupe.volume.volume import Volume


@pytest.fixture
def scan():
    return Volume(np.zeros((2, 8, 8), np.int16), (1.0, 1.0, 1.0))


def test_the_frame_is_on_this_machine_and_has_the_token(scan):
    shown = ctloupe.view(scan, ("other", scan), height=300)
    try:
        html = shown._repr_html_()
        assert "<iframe" in html and "height:300px" in html and "location.hostname" in html
        port, token = shown.link.split(":")[2].split("/")[0], shown.link.partition("=")[2]
        assert f":{port}/?token={token}" in html
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(shown.link) as answer:
            assert "frame-ancestors 'self' http://localhost:*" in answer.headers["Content-Security-Policy"]
        with opener.open(f"http://127.0.0.1:{port}/api/scene") as answer:
            assert b'"other"' in answer.read()
    finally:
        shown.close()
    with pytest.raises(OSError):
        urllib.request.urlopen(shown.link, timeout=5)


def test_behind_a_hub_the_address_is_that_of_its_proxy(scan, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/someone/")
    shown = ctloupe.view(scan, hosts=("hub.example",))
    try:
        assert shown.path.startswith("/user/someone/proxy/") and f"'{shown.path}?token=" in shown._repr_html_()
    finally:
        shown.close()


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.nii"):
        ctloupe.view(tmp_path / "none.nii")

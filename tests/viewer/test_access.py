"""Who is let in, and what every answer says to browsers."""

import socket

import numpy as np
import pytest

from ctloupe.display.scene import Layer, Scene
from ctloupe.foundation.errors import OptionError
from ctloupe.viewer.access import Access
from ctloupe.viewer.serving import HOST, listening, port_of
from ctloupe.volume.volume import Volume
from viewer.served import served


@pytest.fixture
def scene():
    return Scene((Layer("scan", "image", Volume(np.zeros((2, 8, 8), np.int16), (1.0, 1.0, 1.0))),))


EVERYTHING = ("", "page/main.js", "api/scene", "api/tile/0/0/0/0/0/0", "api/values?at=0,0,0", "api/finished")


def test_without_the_token_or_with_another_nothing_is_answered(scene):
    with served(scene) as client:
        for path in EVERYTHING:
            assert client.get(path)[0] == 403, path
        for wrong in ("", "x", client.token[:-1], client.token + "x"):
            assert client.get(f"?token={wrong}")[0] == 403
        assert not list(client.jar)


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_has_and_leaves_the_address(scene):
    with served(scene) as client:
        status, _, body = client.enter().get("")
        assert status == 200 and b"CT Loupe" in body and client.token.encode() not in body
        (cookie,) = client.jar
        assert cookie.name == f"ctloupe-{client.port}" and cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite").lower() == "strict"
        for path in EVERYTHING:
            assert client.get(path)[0] == 200, path


def test_under_a_foreign_host_name_nothing_is_answered_even_with_the_cookie(scene):
    with served(scene) as client:
        client.enter()
        for host in ("evil.example", f"evil.example:{client.port}", "127.0.0.1", f"127.0.0.1:{client.port + 1}"):
            assert client.get("api/scene", host=host)[0] == 403
            assert client.get(f"?token={client.token}", host=host)[0] == 403
        assert client.get("api/scene", host=f"localhost:{client.port}")[0] == 200


def test_a_proxy_is_let_in_by_name_only(scene):
    with served(scene, hosts=("hub.example",)) as client:
        client.enter()
        assert client.get("api/scene", host="hub.example")[0] == 200
        assert client.get("api/scene", host="other.example")[0] == 403


def test_every_answer_forbids_what_is_not_from_here(scene):
    with served(scene) as client:
        for path in ("", "api/scene", "page/style.css", "nothing"):
            headers = client.enter().get(path)[1]
            assert headers["Content-Security-Policy"].startswith("default-src 'self';")
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store" and "server" not in headers


def test_only_the_named_volumes_and_the_files_of_the_page_can_be_had(scene):
    with served(scene) as client:
        client.enter()
        for path in ("page/..%2faccess.py", "page/%2fetc%2fpasswd", "api/tile/1/0/0/0/0/0", "api/tile/0/0/0/9/0/0"):
            assert client.get(path)[0] == 404, path
        assert client.get("api/values?at=nan,0,0")[0] == 404
        assert client.get("api/values?at=1")[0] == 404


def test_a_server_listens_on_this_machine_alone_and_names_a_port_that_is_taken():
    with listening(0) as one:
        assert one.getsockname()[0] == HOST == "127.0.0.1"
        taken = port_of(one)
        with pytest.raises(OptionError, match=f"`port` {taken}"):
            listening(taken)
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex((HOST, taken)) != 0


def test_a_person_is_known_by_the_whole_token_only():
    access = Access(1, {"one": "a", "two": "b"})
    assert [access.person_of(token) for token in ("one", "two", "", "on", None)] == ["a", "b", None, None, None]

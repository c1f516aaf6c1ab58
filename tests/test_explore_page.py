"""The page of `mckean explore` from outside: who is let in, and a real browser from the first frame to the last.

One process serves all of it, as it takes seconds to start; the browser comes last, since closing its page ends it.
"""

import http.client
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import websockets
from websockets.sync.client import connect

from mckean.explore.conversation import pack, unpack
from mckean.explore.server import host_of

# A browser that has no WebGL2, and what the plain canvas then shows.
WITHOUT_WEBGL = """const own = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : own.call(this, kind, ...more); };"""
DRAWN = "document.querySelector('#run').shadowRoot.querySelector('.stage canvas').toDataURL()"
GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def start(*options: str) -> tuple[subprocess.Popen, str]:
    """The command, and the address that it prints."""
    command = [sys.executable, "-m", "mckean.cli", "explore", "kuramoto", "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def served():
    process, address = start("--particles", "500")
    yield process, address
    process.kill()
    process.communicate()


@pytest.fixture
def address(served) -> str:
    return served[1]


def get(address: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """The answer, whose connection is closed."""
    line = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    line.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        line.putheader(name, value)
    line.endheaders()
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer


def test_the_page_may_load_nothing_from_elsewhere(address):
    parts = urlsplit(address)
    assert parts.hostname == "127.0.0.1"
    answer = get(address, parts.path)
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert f"ws://{parts.netloc}" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert get(address, parts.path + "explore.js").headers["Content-Type"].startswith("text/javascript")
    assert get(address, parts.path + "server.py").status == 404


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/wrong/", {}),
        ("/" + "é" * 16 + "/", {}),
        ("{path}", {"Host": "evil.example"}),
        ("{path}explore.js", {"Host": "localhost.evil.example:1"}),
    ],
)
def test_a_wrong_token_and_a_foreign_host_are_refused(address, path, headers):
    path = path.format(path=urlsplit(address).path).encode().decode("latin-1")
    assert get(address, quote(path, safe="/", encoding="latin-1"), **headers).status == 403


def test_the_host_is_written_as_a_browser_writes_it():
    """Without the port that is HTTP's own, or the page on port 80 would be refused by its own server."""
    assert (host_of(80), host_of(8080)) == ("127.0.0.1", "127.0.0.1:8080")


def dial(address: str, origin: str | None, token: str = ""):
    parts = urlsplit(address)
    path = f"/{token}/" if token else parts.path
    return connect(f"ws://{parts.netloc}{path}socket", origin=origin, max_size=None)


@pytest.mark.parametrize(
    ("origin", "token"),
    [("http://evil.example", ""), (None, ""), ("null", ""), ("https://{host}", ""), ("http://{host}", "wrong")],
)
def test_a_malicious_origin_and_a_wrong_token_open_no_socket(address, origin, token):
    origin = origin and origin.format(host=urlsplit(address).netloc)
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused, dial(address, origin, token):
        pass
    assert refused.value.response.status_code == 403


def ask(line, **words) -> dict:
    line.send(json.dumps(words))
    return unpack(line.recv(timeout=30))[0]


def test_the_newest_page_drives_and_finds_the_state(address):
    """One that is cut off comes back to where it was; a message that is too long ends its socket, and nothing else."""
    own = f"http://{urlsplit(address).netloc}"
    with dial(address, own) as first:
        assert ask(first, do="hello")["kind"] == "scene"
        ask(first, do="set", name="strength", value=2.25)
        step = ask(first, do="step")["step"]
        first.send(b"bytes")
        assert unpack(first.recv(timeout=30))[0]["kind"] == "refused"
        with dial(address, own) as second:
            scene = ask(second, do="hello")
            assert {p["name"]: p["value"] for p in scene["parameters"]}["strength"] == 2.25
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                first.recv(timeout=10)
            assert closed.value.rcvd.code == 4001
            second.send("x" * 200_000)
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                second.recv(timeout=10)
    with dial(address, own) as third:
        ask(third, do="pause", on=True)
        assert ask(third, do="frame")["step"] >= step
        # Cut off, as a browser that leaves would end the command.
        third.close(3000)


def test_an_interrupt_ends_it_and_leaves_the_state():
    """With a page that is open, while programs are compiled aside; a thread that is cut there aborts the process."""
    process, address = start("--particles", "50", "--no-cache")
    with dial(address, f"http://{urlsplit(address).netloc}") as line:
        assert ask(line, do="hello")["kind"] == "scene"
        assert ask(line, do="frame")["kind"] == "frame"
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=20)
    assert (process.returncode, wrong) == (0, "")
    assert "--state" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["kuramotto"], "did you mean 'kuramoto'"),
        (["nothing.py:model"], "there is no file"),
        (["kuramoto", "--set", "beta"], "NAME=VALUE"),
        (["kuramoto", "--set", "gamma=1"], "gamma"),
        (["kuramoto", "--particles", "0"], "particles"),
        (["kuramoto", "--port", "99999"], "port"),
        (["kuramoto", "--particles", "10", "--shown", "-5"], "drawn"),
    ],
)
def test_bad_usage_is_one_sentence(words, sentence, capsys):
    from mckean.cli import main

    assert main(["explore", *words, "--no-browser", "--no-cache"]) == 2
    assert sentence in capsys.readouterr().err


def test_what_is_missing_is_named_with_its_extra(monkeypatch):
    from mckean.explore.server import require_installed

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ValueError, match=r"mckean\[explore\]"):
        require_installed()


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with playwright.sync_playwright() as tools:
        program = tools.chromium.launch(executable_path=path, args=GL)
        yield program
        program.close()


def test_a_browser_from_the_first_frame_to_the_last(served, browser, tmp_path):
    """First frame, keyboard, slider, a page loaded anew, export, closing, which ends the command; a recorded run."""
    from playwright.sync_api import expect

    process, address = served
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(address)
    clock = page.locator("header .number").first
    clock.filter(has_text="t =").wait_for(timeout=10_000)
    # Reduced motion begins paused; a press moves.
    play = page.get_by_role("button", name="Play")
    play.wait_for(timeout=5000)
    before = clock.inner_text()
    page.keyboard.press(" ")
    page.wait_for_function("old => document.querySelector('main').shadowRoot.querySelector('header .number')"
                           ".textContent !== old", arg=before, timeout=10_000)  # fmt: skip
    page.keyboard.press(" ")
    play.wait_for(timeout=5000)
    strength = page.get_by_role("slider", name="strength")
    strength.focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    page.reload()
    strength.wait_for(timeout=10_000)
    assert float(strength.input_value()) == pytest.approx(12.0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("e")
    code = page.get_by_role("textbox", name="Python")
    code.wait_for(timeout=5000)
    assert "session.set('strength', 12.0)" in code.input_value()
    # The address of a state leads to it, once: loaded anew, the page shows what has become of it since.
    state = page.get_by_role("textbox", name="URL").input_value()
    page.keyboard.press("Escape")
    assert "#" not in page.url
    for anew, value in (("location.reload()", "0.15"), (f"location.href = '{state}'", "12")):
        strength.focus()
        page.keyboard.press("Home")
        expect(strength).to_have_js_property("value", "0.15")
        page.wait_for_timeout(500)
        page.evaluate(anew)
        expect(strength).to_have_js_property("value", value)
    assert troubles == []
    page.close()
    assert process.wait(timeout=15) == 0
    plays_alone(browser, tmp_path)


def plays_alone(browser, folder: Path) -> None:
    """A recorded run, from a file, moves when it is started; without WebGL2 and by touch, tokens on S² are turned."""
    import mckean as mk

    frames = mk.explore.record(mk.explore.Session("kuramoto", particles=173), frames=4, shown=50)
    page = browser.new_page()
    page.goto(mk.explore.player(frames, folder / "run.html").as_uri())
    page.locator("header .number").filter(has_text="t = 0.20").wait_for(timeout=10_000)
    page.close()
    (scene, _), *moments = map(unpack, frames)
    tokens = np.random.default_rng(0).normal(size=(50, 3))
    sphere = [pack(scene | {"view": "sphere", "bounds": [[-1, 1]] * 3, "axes": []})]
    sphere += [pack(head, {"positions": tokens}) for head, _ in moments]
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.add_init_script(WITHOUT_WEBGL)
    page.goto(mk.explore.player(sphere, folder / "sphere.html").as_uri())
    page.locator("header .number").filter(has_text="t = 0.20").wait_for(timeout=10_000)
    before = page.evaluate(DRAWN)
    assert len(before) > 1000
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + 100, box["y"] + 100
    touch = context.new_cdp_session(page)
    for kind, points in (("Start", [{"x": x, "y": y}]), ("Move", [{"x": x + 90, "y": y}]), ("End", [])):
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    page.wait_for_timeout(300)
    assert page.evaluate(DRAWN) != before
    context.close()


def test_a_widget_in_a_notebook_is_answered_by_its_kernel():
    """A cell that ends in the widget shows it, and what its module says is answered: in a kernel as Jupyter's."""
    manager = pytest.importorskip("jupyter_client.manager", reason="Jupyter is not installed")
    pytest.importorskip("ipykernel", reason="Jupyter is not installed")
    kernel, client = manager.start_new_kernel()
    try:
        client.execute(CELL)
        shown = heard(client, "execute_result")["content"]["data"]["application/vnd.jupyter.widget-view+json"]
        line = {"comm_id": shown["model_id"], "data": {"method": "custom", "content": {"do": "hello"}}}
        client.session.send(client.shell_channel.socket, "comm_msg", line)
        header, _ = unpack(bytes(heard(client, "comm_msg")["buffers"][0]))
        assert (header["kind"], header["shown"]) == ("scene", 20)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


CELL = """import mckean as mk
mk.explore.widget(mk.explore.Session("kuramoto", particles=50), shown=20)"""


def heard(client, kind: str) -> dict:
    """The next message of a kind."""
    while True:
        message = client.get_iopub_msg(timeout=60)
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == kind and message["content"].get("data", {}).get("method", "custom") == "custom":
            return message

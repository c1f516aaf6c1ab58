"""The explorer: its first frame, cold and warm; a frame of N = 10⁶ with 10⁵ shown; a slider; compilations.

First frames are counted from the command on, to the first frame that a page is sent. On a machine that has other work
the processor's time of a frame says more than the clock's: both are given.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

_FRAMES = 90


def first_frame(folder: str) -> tuple[float, float]:
    """Seconds from the command to the first frame, and those of the processor, with compiled programs in a folder."""
    from websockets.sync.client import connect

    from mckean.explore.conversation import unpack

    begun = time.perf_counter()
    command = [sys.executable, "-m", "mckean.cli", "explore", "kuramoto", "--no-browser"]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    parts = urlsplit(process.stdout.readline().strip())
    try:
        address = f"ws://{parts.netloc}{parts.path}socket"
        with connect(address, origin=f"http://{parts.netloc}", max_size=None) as line:  # type: ignore[arg-type]
            for words in ("hello", "frame"):
                line.send(json.dumps({"do": words}))
                header, _ = unpack(line.recv())  # type: ignore[arg-type]
            assert header["kind"] == "frame"
            wall = time.perf_counter() - begun
    finally:
        process.kill()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = -9
    return wall, used.ru_utime + used.ru_stime


def frames(particles: int) -> dict[str, float]:
    """Milliseconds of a frame and of a slider, and the compilations of a session after its first frames."""
    import mckean as mk
    from mckean.explore.conversation import Conversation, unpack

    compiled = _compiled()
    talk = Conversation(mk.explore.Session("kuramoto", particles=particles))

    def say(**words):
        return unpack(talk.answer(json.dumps(words)))

    for words in ("hello", "frame", "frame", "redraw", "frame"):
        say(do=words)
    talk.session.warm()
    before, begun, used, step = len(compiled), time.perf_counter(), time.process_time(), talk.session.step
    for _ in range(_FRAMES):
        say(do="frame")
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    steps = (talk.session.step - step) / _FRAMES
    slides = []
    for k in range(10):
        begun = time.perf_counter()
        say(do="set", name="strength", value=1.0 + k / 3)
        slides.append(time.perf_counter() - begun)
    say(do="set", name="environment", value=0.4)
    for _ in range(10):
        say(do="frame")
    per = 1000 / _FRAMES
    return {
        "frame (ms)": wall * per,
        "frame, processor (ms)": cpu * per,
        "steps a frame": steps,
        "slider, median (ms)": 1000 * sorted(slides)[5],
        "slider, slowest (ms)": 1000 * max(slides),
        "compilations": len(compiled) - before,
        # Ten minutes at thirty frames a second.
        "compilations in 18 000 frames": compilations("kuramoto", 18_000)[0],
    }


def compilations(model: str, frames: int) -> tuple[int, int, str]:
    """Compilations of a session after all has been done once, and the frames and notes it had.

    Every slider and every button, and then as many frames, with another of these between each two tens.
    """
    import mckean as mk
    from mckean.explore.conversation import Conversation, unpack

    compiled = _compiled()
    talk = Conversation(mk.explore.Session(model))
    free = [p for p in talk.session.parameters.values() if not p.fixed]
    acts = [
        {"do": "set", "name": p.name, "value": p.default + s * (p.high - p.default)} for p in free for s in (0.1, 0)
    ]
    acts += [{"do": verb} for verb in ("step", "redraw", "export", "diagram", "reset")]

    def say(words: dict) -> dict:
        header, _ = unpack(talk.answer(json.dumps(words)))
        return header

    say({"do": "frame"})
    assert talk.aside is not None
    talk.aside.join()
    refused = set()
    for words in (*acts, {"do": "pace", "steps": 1}):
        header = say(words)
        refused |= {header["reason"]} if header["kind"] == "refused" else set()
        say({"do": "frame"})
    talk.aside.join()
    before = len(compiled)
    for k in range(frames):
        header = say(acts[k // 10 % len(acts)] if k % 10 == 0 else {"do": "frame"})
    talk.aside.join()
    notes = " ".join([*filter(None, header.get("notes", {}).values()), *refused])
    return len(compiled) - before, frames, notes


def _compiled() -> list[float]:
    """The seconds of each compilation from now on."""
    import jax

    jax.config.update("jax_enable_x64", True)
    compiled: list[float] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(seconds) if "backend_compile" in name else None
    )
    return compiled


def main(arguments: list[str]) -> None:
    if "--models" in arguments:
        from mckean.catalogue import MODELS

        for model in arguments[arguments.index("--models") + 1 :] or MODELS:
            count, _, notes = compilations(model, 200)
            print(f"{model:24} {count:4d} {notes}", flush=True)
        return
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for state in ("cold", "warm"):
            wall, cpu = first_frame(folder)
            found |= {f"first frame, {state} (s)": wall, f"first frame, {state}, processor (s)": cpu}
    found |= frames(1_000_000)
    for name, value in found.items():
        print(f"{name:34} {value:8.2f}")
    if "--json" in arguments:
        with open(arguments[arguments.index("--json") + 1], "w") as file:
            json.dump(found, file)

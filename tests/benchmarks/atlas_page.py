"""The page of an atlas: what a frame costs a browser while 100,000 images are moved and pointed at.

    python tests/benchmarks/atlas_page.py [--images 100000]

Processor milliseconds of the browser's main thread, which say more than the clock on a machine that
is shared: below 16.7 a frame, 60 of them are drawn in a second. Needs Jinja2, selenium, chromium.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.commands.atlas import Atlas
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.stories.atlas import run
from xmir_cli.wire.model import ModelSpec

FRAMES = 120
CLASSES, DIM = 12, 64
MOVE = """
const [what, frames, done] = arguments;
const over = document.getElementById("over");
over.setPointerCapture = () => {};
const box = over.getBoundingClientRect();
const fire = (kind, name, x, y, more) => over.dispatchEvent(new kind(name, {
  clientX: box.left + x, clientY: box.top + y, bubbles: true, cancelable: true, pointerId: 1, ...more }));
let n = 0;
if (what === "pan") fire(PointerEvent, "pointerdown", 400, 300);
const frame = () => {
  n += 1;
  if (n > frames) {
    if (what === "pan") fire(PointerEvent, "pointerup", 400, 300);
    return done();
  }
  if (what === "pan") fire(PointerEvent, "pointermove", 400 + 100 * Math.sin(n / 10), 300 + 80 * Math.cos(n / 10));
  if (what === "zoom") fire(WheelEvent, "wheel", 500, 400, { deltaY: n < frames / 2 ? -30 : 30 });
  if (what === "hover") fire(PointerEvent, "pointermove", 100 + 6 * n, 200 + 3 * n);
  return requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""  # noqa: E501


def draw(folder: Path, images: int) -> str:
    """The page of so many embeddings in clusters."""
    rng = np.random.default_rng(0)
    which = rng.integers(0, CLASSES, images)
    vectors = rng.normal(size=(CLASSES, DIM))[which] + 0.8 * rng.normal(size=(images, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"archive/{row // 1000:04d}/scan-{row:07d}.png" for row in range(images)]
    numbers = {"width": pa.array([9] * images, pa.int32())}
    items = pa.table(
        {"id": names, "path": names, "sha256": names, **numbers, "height": numbers["width"]}
        | {"label": [f"finding {each}" for each in which]}
        | {name: pa.array([None] * images, pa.string()) for name in ("patient", "split")}
    )
    model = ModelSpec("none", "random:0", weights_sha256="0" * 64)
    embeddings = Embeddings(items, vectors.astype(np.float32), model)
    write_embeddings(folder / "e.parquet", embeddings)
    asked = {"source": str(folder / "e.parquet"), "output": [folder / "e.html"], "thumbnails": 0}
    list(run(Atlas(**asked)))
    return (folder / "e.html").as_uri()


def measure(page: str) -> None:
    """Print what each movement costs."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for each in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(each)
    options.add_argument("--window-size=1400,1100")
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    start = time.perf_counter()
    browser.get(page)
    print(f"opened in {time.perf_counter() - start:.1f} s")
    browser.set_script_timeout(120)
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    for what in ("pan", "zoom", "hover"):
        before = spent(browser)
        browser.execute_async_script(MOVE, what, FRAMES)
        print(f"{what:5}  {1000 * (spent(browser) - before) / FRAMES:5.1f} ms a frame")
    browser.quit()


def spent(browser) -> float:
    """Seconds that the main thread has worked."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "TaskDuration")


def main() -> None:
    """Draw the page, open it, and move."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        page = draw(Path(folder), asked.images)
        seconds, worked = time.perf_counter() - start, time.process_time() - busy
        print(f"{asked.images} images drawn in {seconds:.0f} s, {worked:.0f} s of processors")
        measure(page)


if __name__ == "__main__":
    main()

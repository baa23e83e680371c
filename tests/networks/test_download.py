import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import models

from features.errors import WeightsError
from features.networks import download
from features.progress import finish

CONTENT = bytes(range(256)) * 12_288  # 3 MiB
NAME = f"drawn-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of torch.hub."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server():
    """A server on this machine that sends CONTENT whatever is asked for, and pauses after two thirds of it."""
    go_on = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: 2 << 20])
            go_on.wait(20)
            self.wfile.write(CONTENT[2 << 20 :])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", go_on
    finally:
        go_on.set()
        server.shutdown()
        server.server_close()


def test_a_file_arrives_whole_and_reports_its_megabytes_on_the_way(server, cache):
    address, go_on = server
    reports = []

    def report(progress):
        reports.append(progress)
        if progress.done >= 1:  # what is written last may wait in a buffer
            go_on.set()

    assert finish(download.fetch(f"{address}/{NAME}", 2.9), report) == cache / NAME
    assert (cache / NAME).read_bytes() == CONTENT
    assert [path.name for path in cache.iterdir()] == [NAME]
    done = [progress.done for progress in reports]
    assert done == sorted(done)
    assert 1 <= done[-1] <= 3
    assert {(progress.total, progress.unit) for progress in reports} == {(3, "MB")}


def test_a_file_with_another_checksum_is_refused_and_removed(server, cache):
    address, go_on = server
    go_on.set()
    with pytest.raises(WeightsError, match="invalid hash value"):
        finish(download.fetch(f"{address}/drawn-00000000.pth", 3))
    assert not list(cache.iterdir())


def test_an_address_that_does_not_answer_is_an_error_with_the_address_and_the_place(cache):
    url = f"http://127.0.0.1:9/{NAME}"  # the discard port, where nothing listens
    with pytest.raises(WeightsError) as caught:
        finish(download.fetch(url, 3))
    assert "Connection refused" in str(caught.value)
    assert url in str(caught.value)
    assert str(cache / NAME) in str(caught.value)


def test_an_address_without_a_checksum_is_refused():
    with pytest.raises(WeightsError, match="does not carry a checksum"):
        finish(download.fetch("http://127.0.0.1:9/weights.pth", 3))


def test_closing_the_task_ends_the_transfer_and_leaves_nothing(server, cache):
    address, _ = server  # which pauses, so that the transfer could not have ended
    task = download.fetch(f"{address}/{NAME}", 3)
    for report in task:
        if report.done >= 1:
            break
    assert len(list(cache.iterdir())) == 1
    task.close()
    assert not list(cache.iterdir())


def test_a_server_that_falls_silent_is_given_up(server, cache, monkeypatch):
    monkeypatch.setattr(download, "SILENCE", 0.05)
    address, _ = server
    with pytest.raises(WeightsError, match="timed out"):
        finish(download.fetch(f"{address}/{NAME}", 3))
    assert not list(cache.iterdir())


def test_an_error_of_another_kind_is_not_taken_for_a_missing_network(monkeypatch):
    def fail(*arguments, **settings):
        raise MemoryError("no room")

    monkeypatch.setattr(download, "urlopen", fail)
    with pytest.raises(MemoryError, match="no room"):
        finish(download.fetch(f"http://127.0.0.1:9/{NAME}", 3))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext101_64x4d", "wide_resnet101_2"])
def test_the_checksum_and_the_place_are_torch_hubs(name, cache):
    for weights in models.get_model_weights(name):
        file = Path(weights.url).name
        assert download._checksum(weights.url) == torch.hub.HASH_REGEX.search(file).group(1)
        assert download.cached(weights.url) == cache / file

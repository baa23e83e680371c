"""Images from an object store and features into one, by S3's own protocol, against a server on this machine."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import engine, extract, store
from features.__main__ import main
from features.datasets import open_images, open_uri
from features.errors import DatasetError, FeatureError
from features.files import path_of
from features.progress import finish
from features.store import FeatureSet, StoreError, manifest, open_features

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("object store")]


@pytest.fixture(scope="module")
def s3fs():
    """Imported here, as the server is: both take a second, which only those who run these tests need to wait."""
    return pytest.importorskip("s3fs")


def started():
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    return server, f"http://{host}:{port}"


@pytest.fixture(scope="module")
def server():
    server, address = started()
    yield address
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch, tmp_path, s3fs):
    """An empty bucket, and credentials that its server takes."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{tmp_path.name.replace('_', '-').lower()}"[:60].rstrip("-")
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def photos(bucket, tiny_folder, s3fs) -> str:
    """The tiny folder, there."""
    s3fs.S3FileSystem().put(str(tiny_folder), f"{bucket}/photos", recursive=True)
    return f"{bucket}/photos"


def plan_of(model):
    return engine.choose(model.network, precision="fp32", device="cpu", engine="torch")


def same(one: FeatureSet, other: FeatureSet) -> None:
    assert one.ids == other.ids
    assert one.rejected == other.rejected
    for name in other.stages:
        np.testing.assert_array_equal(one.stages[name], other.stages[name])


def test_a_folder_there_gives_what_it_gives_here(photos, bucket, tiny_model, tiny_images, tmp_path):
    there = open_images(photos)
    assert there.labels.tolist() == tiny_images.labels.tolist()
    done = finish(extract.to_folder(tiny_model, there, plan_of(tiny_model), path_of(f"{bucket}/features"), 4))
    assert done.n_rows == 12
    finish(extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), tmp_path / "here", 4))
    same(open_features(f"{bucket}/features"), open_features(tmp_path / "here"))
    finish(store.convert(path_of(f"{bucket}/features"), tmp_path / "arrays", "npy"))
    same(open_features(tmp_path / "arrays"), open_features(tmp_path / "here"))


def test_a_run_that_was_stopped_goes_on_there(photos, bucket, tiny_model, tiny_images, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "PART_IMAGES", 4)
    out, images = path_of(f"{bucket}/features"), open_images(photos)
    task = extract.to_folder(tiny_model, images, plan_of(tiny_model), out, 4)
    while next(task).done < 8:
        pass
    task.close()
    assert [path.name for path in out.glob("part-*")] == ["part-00000.parquet"]
    finish(extract.to_folder(tiny_model, images, plan_of(tiny_model), out, 4))
    finish(extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), tmp_path / "here", 4))
    same(open_features(f"{bucket}/features"), open_features(tmp_path / "here"))
    with pytest.raises(StoreError, match="batch_size was 4 and is 5"):
        finish(extract.to_folder(tiny_model, images, plan_of(tiny_model), out, 5))


def test_zips_tables_and_lists_lie_there_too(photos, bucket, tiny_folder, tiny_images, s3fs):
    system = s3fs.S3FileSystem()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in tiny_images.ids:
            archive.write(tiny_folder / name, name)
    system.pipe(f"{bucket}/set.zip", packed.getvalue())
    with system.open(f"{bucket}/table/a.parquet", "wb") as file:
        rows = {"image": [(tiny_folder / name).read_bytes() for name in tiny_images.ids], "id": tiny_images.ids}
        pq.write_table(pa.table(rows), file)
    system.pipe(f"{bucket}/list.txt", "\n".join(f"{photos}/{name}" for name in tiny_images.ids).encode())
    for source in ("set.zip", "table", "table/a.parquet", "list.txt"):
        found = open_images(f"{bucket}/{source}")
        for index in (11, 0, 5):
            assert np.array_equal(found.open(index), tiny_images.open(index))
            assert np.array_equal(open_uri(found.uri(index)), tiny_images.open(index))


def test_what_is_not_ours_or_not_reached_is_told(photos, bucket, tiny_model, tiny_images, monkeypatch, capsys, s3fs):
    with pytest.raises(StoreError, match="holds other things than features"):
        finish(extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), path_of(photos)))
    with pytest.raises(FeatureError, match="takes only Parquet"):
        finish(extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), path_of(f"{bucket}/x"), 4, "npy"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    assert main(["evaluate", photos]) == 2
    assert main(["info", f"{bucket}/features"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert all("it cannot be reached (Unable to locate credentials)" in line for line in told)


def test_no_bucket_is_made_for_a_wrong_name(bucket, tiny_model, tiny_images, s3fs):
    with pytest.raises(StoreError, match="cannot be written"):
        finish(extract.to_folder(tiny_model, tiny_images, plan_of(tiny_model), path_of(f"{bucket}-typo/x"), 4))
    assert not s3fs.S3FileSystem().exists(f"{bucket}-typo")


def test_a_store_that_goes_away_stops_a_run_instead_of_rejecting_its_images(bucket, tiny_folder, monkeypatch, s3fs):
    server, address = started()
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("other")
    system.put(str(tiny_folder), "other/photos", recursive=True)
    images = open_images("s3://other/photos")
    assert images.open(0)
    server.stop()
    with pytest.raises(DatasetError, match=r"it cannot be reached .* what is finished stays"):
        images.open(1)


def test_neither_is_an_image_rejected_that_lies_in_a_zip_there(bucket, tiny_folder, monkeypatch, s3fs):
    class Gone(Exception):
        """As a library for a store raises it, once more is asked for than it holds."""

    def gone(*_):
        raise Gone("no route")

    with s3fs.S3FileSystem().open(f"{bucket}/set.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.write(tiny_folder / "cat" / "0.png", "0.png")
    images = open_images(f"{bucket}/set.zip")
    monkeypatch.setattr(zipfile.ZipFile, "open", gone)
    with pytest.raises(DatasetError, match=r"0\.png: it cannot be reached \(no route\)"):
        images.open(0)

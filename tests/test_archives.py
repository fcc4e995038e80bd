"""Tests of `pipeline.archives`."""

import tarfile

import pytest

from pipeline.archives import EncodedShards, EncodedWriter
from pipeline.storage import StorageError

# Lengths below, at and above tar's block of 512 bytes.
FILES = {f"ISIC_{n}": bytes([n]) * size for n, size in enumerate([1, 511, 512, 513, 2000])}


def write(folder, files=FILES, shard_images=2):
    with EncodedWriter(folder, shard_images=shard_images, suffix=".png") as writer:
        for image_id, data in files.items():
            writer.add(image_id, data)


def test_bytes_come_back(tmp_path):
    write(tmp_path)

    shards = EncodedShards(tmp_path)

    assert len(shards) == 5
    assert shards.image_ids == tuple(FILES)
    assert {image_id: shards.read(image_id) for image_id in reversed(FILES)} == FILES


def test_archives_are_plain_tar_files(tmp_path):
    write(tmp_path)

    found = {}
    for path in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(path) as archive:
            found |= {entry.name: archive.extractfile(entry).read() for entry in archive}

    assert found == {f"{image_id}.png": data for image_id, data in FILES.items()}
    assert len(list(tmp_path.glob("*.tar"))) == 3


def test_two_runs_write_the_same_bytes(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "other")

    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_failure_leaves_no_index_and_no_half_archive(tmp_path):
    def fail():
        with EncodedWriter(tmp_path, shard_images=2, suffix=".png") as writer:
            for image_id in ("a", "b", "c"):
                writer.add(image_id, b"data")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()

    assert [path.name for path in tmp_path.iterdir()] == ["00000.tar"]
    with pytest.raises(StorageError, match="the folder is not whole"):
        EncodedShards(tmp_path)


def test_repeated_image_is_refused(tmp_path):
    def repeat():
        with EncodedWriter(tmp_path, shard_images=2, suffix=".png") as writer:
            writer.add("ISIC_1", b"a")
            writer.add("ISIC_1", b"b")

    with pytest.raises(StorageError, match=r"Got several of: \['ISIC_1'\], 1 in all\.$"):
        repeat()


def test_no_image_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"must get at least one image\. Got: none\.$"):
        write(tmp_path, {})


def test_cut_archive_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "00002.tar").write_bytes((tmp_path / "00002.tar").read_bytes()[:1000])

    with pytest.raises(StorageError, match=r"00002\.tar must be whole\. Got: it ends in ISIC_4\.$"):
        EncodedShards(tmp_path).read("ISIC_4")


def test_unknown_image_is_named(tmp_path):
    write(tmp_path)

    with pytest.raises(StorageError, match=r"must hold the image asked for\. Got: no 'ISIC_7'\.$"):
        EncodedShards(tmp_path).read("ISIC_7")

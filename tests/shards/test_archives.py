"""Tests of `pipeline.shards.archives`."""

import hashlib
import tarfile

import pytest

from pipeline.shards.archives import EncodedShards, EncodedWriter, open_smallest
from pipeline.storage import StorageError

# Lengths below, at and above tar's block of 512 bytes.
FILES = {f"ISIC_{n}": bytes([n]) * size for n, size in enumerate([1, 511, 512, 513, 2000])}


def write(folder, files=FILES, shard_images=2):
    with EncodedWriter(folder, suffix=".png") as writer:
        for number, (image_id, data) in enumerate(files.items()):
            if number % shard_images == 0:
                writer.start_shard(f"shard-{number}")
            writer.add(image_id, data, "of " + image_id)


def test_the_smallest_crops_are_smallest_by_number_not_by_name(tmp_path):
    for size in (1024, 512, 768):
        write(tmp_path / str(size), {f"crop_{size}": b"x"})
    (tmp_path / "boxes").mkdir()

    assert open_smallest(tmp_path).image_ids == ("crop_512",)


def test_a_folder_without_crops_names_the_stage_to_run(tmp_path):
    with pytest.raises(StorageError, match=r"must hold crops\. Run the stage `crop`"):
        open_smallest(tmp_path)


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
        with EncodedWriter(tmp_path, suffix=".png") as writer:
            for image_id in ("a", "b", "c"):
                if image_id != "b":
                    writer.start_shard(image_id)
                writer.add(image_id, b"data", "")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()

    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    with pytest.raises(StorageError, match="the folder is not whole"):
        EncodedShards(tmp_path)


def test_repeated_image_is_refused(tmp_path):
    def repeat():
        with EncodedWriter(tmp_path, suffix=".png") as writer:
            writer.start_shard("a")
            writer.add("ISIC_1", b"a", "")
            writer.add("ISIC_1", b"b", "")

    with pytest.raises(StorageError, match=r"Got several of: \['ISIC_1'\], 1 in all\.$"):
        repeat()


def test_no_image_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"must get at least one image\. Got: none\.$"):
        write(tmp_path, {})


def test_cut_archive_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "shard-4.tar").write_bytes((tmp_path / "shard-4.tar").read_bytes()[:1000])

    with pytest.raises(
        StorageError, match=r"shard-4\.tar must be whole\. Got: it ends in ISIC_4\.$"
    ):
        EncodedShards(tmp_path).read("ISIC_4")


def test_unknown_image_is_named(tmp_path):
    write(tmp_path)

    with pytest.raises(StorageError, match=r"must hold the image asked for\. Got: no 'ISIC_7'\.$"):
        EncodedShards(tmp_path).read("ISIC_7")


def test_index_holds_the_hash_of_each_image_and_of_what_it_was_made_of(tmp_path):
    write(tmp_path)

    place = EncodedShards(tmp_path).place("ISIC_3")

    assert place.sha256 == hashlib.sha256(FILES["ISIC_3"]).hexdigest()
    assert place.read() == FILES["ISIC_3"]
    assert ",513,of ISIC_3," in (tmp_path / "index.csv").read_text()

"""Tests of `pipeline.shards.arrays`, and of `array_writer`, which writes what it reads."""

import os

import numpy as np
import pytest

from pipeline.shards import arrays
from pipeline.shards.array_writer import write_array_shards
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import StorageError


def pictures(count, side=4):
    """Named arrays, each filled with its own number."""
    return [(f"ISIC_{n}", np.full((side, side, 3), n, np.uint8)) for n in range(count)]


def shard_names(folder):
    """The files in the order of the index."""
    shards = (line.split(",")[1] for line in (folder / "index.csv").read_text().splitlines()[1:])
    return list(dict.fromkeys(shards))


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_arrays_come_back_in_the_order_asked_for(tmp_path, count):
    write_array_shards(tmp_path, pictures(count), 4)

    shards = ArrayShards(tmp_path)
    read = shards.read([f"ISIC_{count - 1}", "ISIC_0"])

    assert len(shards) == count
    assert shards.image_ids == tuple(f"ISIC_{n}" for n in range(count))
    assert shards.shape == (4, 4, 3)
    assert read.dtype == np.uint8
    assert read[:, 0, 0, 0].tolist() == [count - 1, 0]


def test_shards_are_plain_npy_files(tmp_path):
    write_array_shards(tmp_path, pictures(5), 4)

    found = [np.load(tmp_path / name, mmap_mode="r") for name in shard_names(tmp_path)]
    assert max(map(len, found)) <= 4
    np.testing.assert_array_equal(np.concatenate(found), [pixels for _, pixels in pictures(5)])


def test_few_files_stay_open_however_many_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "OPEN_FILES", 2)
    write_array_shards(tmp_path, pictures(40), 2)
    shards = ArrayShards(tmp_path)
    before = open_files()

    read = shards.read([f"ISIC_{n}" for n in (30, 2, 17, 2, 39)])

    assert read[:, 0, 0, 0].tolist() == [30, 2, 17, 2, 39]
    assert len(shard_names(tmp_path)) > 10
    assert open_files() - before <= 2


def open_files():
    return len(os.listdir("/dev/fd"))


def test_images_are_taken_one_by_one(tmp_path):
    """Memory holds one image, not a shard: each is written before the next is asked for."""
    taken = []

    def stream():
        for image_id, pixels in pictures(6, side=64):
            taken.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield image_id, pixels

    write_array_shards(tmp_path, stream(), 6)

    assert len(set(taken)) > 1


def test_no_image_to_read_gives_an_empty_array(tmp_path):
    write_array_shards(tmp_path, pictures(3), 4)

    assert ArrayShards(tmp_path).read([]).shape == (0, 4, 4, 3)


def test_shape_or_type_that_differs_is_refused(tmp_path):
    wrong = [*pictures(2), ("ISIC_9", np.zeros((5, 4, 3), np.uint8))]
    message = r"^images must be \(4, 4, 3\) uint8\. Got: ISIC_9, \(5, 4, 3\) uint8\.$"

    with pytest.raises(StorageError, match=message):
        write_array_shards(tmp_path, wrong, 4)
    with pytest.raises(StorageError, match=r"Got: ISIC_0, \(4, 4, 3\) float64\.$"):
        write_array_shards(tmp_path, [("ISIC_0", np.zeros((4, 4, 3)))], 4)


def test_repeated_image_is_refused(tmp_path):
    message = r"must get each image_id once\. Got several of: \['ISIC_1'\], 1 in all\.$"

    with pytest.raises(StorageError, match=message):
        write_array_shards(tmp_path, [*pictures(3), pictures(3)[1]], 2)


def test_no_image_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"must get at least one image\. Got: none\.$"):
        write_array_shards(tmp_path, [], 2)


def test_unfinished_folder_is_refused(tmp_path):
    write_array_shards(tmp_path, pictures(3), 2)
    (tmp_path / "index.csv").unlink()

    with pytest.raises(StorageError, match=r"index\.csv must exist: the folder is not whole\.$"):
        ArrayShards(tmp_path)


@pytest.mark.parametrize("content", ["", "image_id,offset\nISIC_0,1\n"])
def test_index_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "index.csv").write_text(content)

    with pytest.raises(StorageError, match=r"must have the columns \['image_id', 'shard', 'row', "):
        ArrayShards(tmp_path)


def test_cut_shard_is_refused(tmp_path):
    write_array_shards(tmp_path, pictures(3), 100)
    (name,) = shard_names(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:-40])

    with pytest.raises(StorageError, match=rf"{name} must be a whole \.npy file of 3\. Got: "):
        ArrayShards(tmp_path)


def test_shard_that_is_cut_while_it_is_open_is_refused(tmp_path):
    write_array_shards(tmp_path, pictures(3), 100)
    (name,) = shard_names(tmp_path)
    shards = ArrayShards(tmp_path)
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - 1)

    with pytest.raises(StorageError, match=rf"{name} must be whole\. Got: it ends at byte "):
        shards.read(["ISIC_2"])


def test_images_of_two_shapes_are_refused(tmp_path):
    write_array_shards(tmp_path, pictures(3), 1)
    name = shard_names(tmp_path)[0]
    np.save(tmp_path / name, np.zeros((1, 5, 5, 3), np.uint8))

    with pytest.raises(StorageError, match=r"must hold images of one shape\. Got: \[\(4, 4, 3\)"):
        ArrayShards(tmp_path)


@pytest.mark.parametrize("array", [np.zeros((3, 4), np.uint8), np.zeros((3, 4, 4, 3), np.float32)])
def test_files_that_hold_no_images_are_refused(tmp_path, array):
    write_array_shards(tmp_path, pictures(3), 100)
    np.save(tmp_path / shard_names(tmp_path)[0], array)

    with pytest.raises(StorageError, match=r"must hold uint8 images\. Got: \(3, "):
        ArrayShards(tmp_path)


def test_unknown_image_is_named(tmp_path):
    write_array_shards(tmp_path, pictures(3), 4)

    with pytest.raises(StorageError, match=r"must hold the image asked for\. Got: no 'ISIC_7'\.$"):
        ArrayShards(tmp_path).read(["ISIC_7"])

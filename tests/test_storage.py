"""Tests of `pipeline.storage`."""

import re

import numpy as np
import pytest

from pipeline.storage import (
    ArrayShards,
    StorageError,
    atomic_folder,
    atomic_path,
    atomic_write,
    read_json,
    sha256_of,
    write_array_shards,
    write_json,
)


def pictures(count, side=4):
    """Named arrays, each filled with its own number."""
    return [(f"ISIC_{n}", np.full((side, side, 3), n, np.uint8)) for n in range(count)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_whole(tmp_path):
    with atomic_write(tmp_path / "new/a.txt", "w") as file:
        file.write("é\n")
        assert not (tmp_path / "new/a.txt").exists()

    assert (tmp_path / "new/a.txt").read_bytes() == "é\n".encode()
    assert names(tmp_path / "new") == ["a.txt"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    with pytest.raises(RuntimeError, match="disk"), atomic_write(tmp_path / "a.txt", "w") as file:
        file.write("half")
        raise RuntimeError("disk")

    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_writing_in_place_would_be_caught(tmp_path):
    """The planted fault of the test above: the plain way loses the old file."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    with pytest.raises(RuntimeError, match="disk"), open(path, "w") as file:
        file.write("half")
        raise RuntimeError("disk")

    assert path.read_text() != "old"


def test_path_for_other_libraries_keeps_its_suffix_and_is_renamed(tmp_path):
    with atomic_path(tmp_path / "a.npy") as path:
        assert path.suffix == ".npy"
        np.save(path, np.arange(3))

    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.npy"]


def test_failed_path_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="disk"), atomic_path(tmp_path / "a.npy") as path:
        path.write_bytes(b"half")
        raise RuntimeError("disk")

    assert names(tmp_path) == []


def test_json_comes_back_and_is_sorted(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [None, "é"]})

    assert read_json(tmp_path / "a.json") == {"a": [None, "é"], "b": 1.5}
    assert (tmp_path / "a.json").read_text(encoding="utf-8").index('"a"') < 5


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"a": float("nan")})

    assert names(tmp_path) == []


def test_sha256_is_that_of_the_standard(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4's own example

    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_folder_appears_whole(tmp_path):
    (tmp_path / "out").mkdir()  # empty, as DVC may leave it

    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "out").exists()

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]


def test_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="disk"), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("half")
        raise RuntimeError("disk")

    assert names(tmp_path) == []


def test_folder_of_a_killed_run_is_started_afresh(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial/stale").write_text("stale")

    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]


def test_folder_with_files_is_never_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    message = rf"^{re.escape(str(tmp_path / 'out'))} must be absent or empty"

    with pytest.raises(StorageError, match=message), atomic_folder(tmp_path / "out"):
        pass

    assert names(tmp_path / "out") == ["mine"]


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

    assert names(tmp_path) == ["00000.npy", "00001.npy", "index.csv"]
    assert np.load(tmp_path / "00000.npy").shape == (4, 4, 4, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "00001.npy"), [pictures(5)[4][1]])


def test_arrays_are_mapped_not_read(tmp_path):
    write_array_shards(tmp_path, pictures(3), 4)

    shards = ArrayShards(tmp_path)

    assert all(isinstance(shard, np.memmap) for shard in shards._shards.values())


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

    with pytest.raises(StorageError, match=r"must have the columns \['image_id', 'shard', 'row'\]"):
        ArrayShards(tmp_path)


def test_cut_shard_is_refused(tmp_path):
    write_array_shards(tmp_path, pictures(3), 4)
    whole = (tmp_path / "00000.npy").read_bytes()
    (tmp_path / "00000.npy").write_bytes(whole[:-40])

    with pytest.raises(StorageError, match=r"00000\.npy must be a whole \.npy file\. Got: "):
        ArrayShards(tmp_path)


def test_unknown_image_is_named(tmp_path):
    write_array_shards(tmp_path, pictures(3), 4)

    with pytest.raises(StorageError, match=r"must hold the image asked for\. Got: no 'ISIC_7'\.$"):
        ArrayShards(tmp_path).read(["ISIC_7"])

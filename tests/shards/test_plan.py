"""Tests of `pipeline.shards.plan`."""

import numpy as np
import pytest

from pipeline.shards.archives import COLUMNS, EncodedShards, EncodedWriter
from pipeline.shards.plan import Previous, plan_shards, plan_steps, select_missing
from pipeline.shards.tables import read_table
from pipeline.storage import StorageError


def ids(count):
    return [f"ISIC_{n:07d}" for n in range(count)]


def parts(image_ids, shard_images):
    """The images of each shard, by the shard's name."""
    shards = plan_shards(image_ids, shard_images)
    return {shard.stem: tuple(image_ids[shard.start : shard.stop]) for shard in shards}


@pytest.mark.parametrize("shard_images", [1, 2, 7, 256])
def test_every_image_is_in_one_shard_in_order(shard_images):
    shards = plan_shards(ids(3000), shard_images)

    assert [shard.start for shard in shards[1:]] == [shard.stop for shard in shards[:-1]]
    assert (shards[0].start, shards[-1].stop) == (0, 3000)
    assert max(shard.stop - shard.start for shard in shards) <= shard_images
    assert len({shard.stem for shard in shards}) == len(shards)


def test_shards_hold_a_third_of_the_most_on_average():
    sizes = [len(images) for images in parts(ids(30_000), 256).values()]

    assert 0.3 < np.mean(sizes) / 256 < 0.42
    assert min(sizes[:-1]) >= 32


def test_no_images_make_no_shards():
    assert plan_shards([], 4) == []


def test_added_images_change_the_shards_that_they_fall_in_alone():
    rng = np.random.default_rng(0)
    before = ids(3000)
    shards, touched = set(parts(before, 256).items()), []
    for _ in range(40):
        added = f"{before[rng.integers(3000)]}x"
        touched.append(len(set(parts(sorted([*before, added]), 256).items()) - shards))

    # One as a rule; two where the new image ends one; more after one that was cut at the most.
    assert np.median(touched) == 1
    assert max(touched) <= 4


def test_shards_of_one_length_would_all_change():
    """The planted fault of the test above: what counting gives."""
    before, after = (
        {tuple(names[n : n + 256]) for n in range(0, len(names), 256)}
        for names in (ids(3000), ["ISIC_", *ids(3000)])
    )

    assert not before & after


def write(folder, images, shard_images=4):
    """Images by id, as pairs of source and bytes."""
    with EncodedWriter(folder, suffix=".png") as writer:
        for shard in plan_shards(list(images), shard_images):
            writer.start_shard(shard.stem)
            for image_id in list(images)[shard.start : shard.stop]:
                source, data = images[image_id]
                writer.add(image_id, data, source)
    return Previous(folder, COLUMNS)


IMAGES = {image_id: (f"source {image_id}", image_id.encode() * 30) for image_id in ids(40)}


def missing(previous, images=IMAGES):
    pairs = [(image_id, source) for image_id, (source, _) in images.items()]
    steps = plan_steps(pairs, 4, [previous], ".tar")
    return select_missing(list(images), steps), steps


def test_everything_of_the_same_images_is_taken_whole(tmp_path):
    new, steps = missing(write(tmp_path, IMAGES))

    assert new == []
    assert all(step.is_whole for step in steps)


def test_without_an_earlier_run_everything_is_missing():
    pairs = [(image_id, source) for image_id, (source, _) in IMAGES.items()]
    steps = plan_steps(pairs, 4, [], ".tar")

    assert select_missing(list(IMAGES), steps) == list(IMAGES)
    assert not any(step.is_whole for step in steps)


def test_image_of_another_source_or_of_none_is_missing(tmp_path):
    previous = write(tmp_path, {name: IMAGES[name] for name in ids(40)[:-1]})
    changed = IMAGES | {"ISIC_0000003": ("another", b"")}

    new, steps = missing(previous, changed)

    assert new == ["ISIC_0000003", "ISIC_0000039"]
    assert 0 < sum(not step.is_whole for step in steps) <= 3


def test_image_that_one_of_two_folders_lacks_is_missing(tmp_path):
    both = [
        write(tmp_path / "512", IMAGES),
        write(tmp_path / "768", {"ISIC_0000001": IMAGES["ISIC_0000001"]}),
    ]
    pairs = [(image_id, source) for image_id, (source, _) in IMAGES.items()]

    new = select_missing(list(IMAGES), plan_steps(pairs, 4, both, ".tar"))

    assert len(new) == 39
    assert "ISIC_0000001" not in new


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_shard_is_made_anew_not_passed_on(tmp_path, damage):
    previous = write(tmp_path, IMAGES)
    victim = EncodedShards(tmp_path).place("ISIC_0000020")
    data = bytearray(victim.path.read_bytes())
    data[victim.offset] ^= 1
    victim.path.unlink()
    if damage != "remove":
        victim.path.write_bytes(data[:-512] if damage == "cut" else data)

    new, _ = missing(previous)

    rows = read_table(tmp_path / "index.csv", COLUMNS)
    assert "ISIC_0000020" in new
    assert new == [row[0] for row in rows if row[1] == victim.path.name]


def test_two_shards_of_one_name_are_refused(tmp_path):
    def repeat():
        with EncodedWriter(tmp_path, suffix=".png") as writer:
            for image_id in ("ISIC_1", "ISIC_2"):
                writer.start_shard("same")
                writer.add(image_id, b"a", "")

    with pytest.raises(StorageError, match=r"must get each shard once\. Got: a name twice\.$"):
        repeat()

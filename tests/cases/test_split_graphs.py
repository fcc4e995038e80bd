"""Property test of splitting and proving: random graphs of links, with a reckoning of their own."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.proof import prove
from pipeline.cases.split import SplitError, SplitParams, join_sources, split
from pipeline.classes import CLASSES
from tests.cases.tables import make_manifest, random_hash

CHAIN_LENGTH = 6
STEP_BITS = 20  # so that neighbours in a chain are near, and those two apart are not
LINKS = ("patient_id", "lesion_id", "sha256")


def chained_hash(chain, link, turned):
    """Hash of one link of a chain of near duplicates, seen in one of the eight orientations."""
    mask = (1 << STEP_BITS * link) - 1
    parts = [f"{int(part, 16) ^ mask:064x}" for part in random_hash(chain).split("-")]
    return "-".join(parts[turned:] + parts[:turned])


# 0 is a missing identifier.
case = st.tuples(
    st.integers(0, 8).map(lambda n: n and f"P{n}"),
    st.integers(0, 8).map(lambda n: n and f"L{n}"),
    st.integers(0, 30).map(lambda n: n and f"digest {n}"),
    st.integers(0, 3),
    st.integers(0, CHAIN_LENGTH - 1),
    st.integers(0, 7),
    st.sampled_from(CLASSES),
)
graphs = st.lists(case, min_size=4, max_size=60)
shares = st.sampled_from([0.0, 0.15])  # of the calibration part; 0: there is none


def make_frame(rows):
    """A manifest, and the place of each row in a chain of near duplicates, or None."""
    records, places = [], []
    for patient, lesion, digest, chain, link, turned, diagnosis in rows:
        known = {"patient_id": patient, "lesion_id": lesion, "diagnosis": diagnosis}
        known["sha256"] = digest
        known["perceptual_hash"] = chain and chained_hash(chain, link, turned)
        records.append({name: value or "" for name, value in known.items()})
        places.append((chain, link) if chain else None)
    return join_sources([make_manifest(*records)]), places


def reckon_components(frame, places):
    """Components by walking from row to row: nothing of this is shared with the pipeline."""
    links = [frame[name].tolist() for name in LINKS]
    neighbours = defaultdict(set)
    for a in range(len(frame)):
        for b in range(len(frame)):
            same = any(names[a] == names[b] != "" for names in links)
            near = places[a] and places[b] and places[a][0] == places[b][0]
            if same or (near and abs(places[a][1] - places[b][1]) <= 1):
                neighbours[a].add(b)
    component = {}
    for start in range(len(frame)):
        waiting = [start]
        while waiting:
            row = waiting.pop()
            if row not in component:
                component[row] = start
                waiting += neighbours[row]
    return [component[row] for row in range(len(frame))]


def part(frame, params, earlier):
    pairs = find_duplicates(frame, params.near_duplicate_bits)
    return split(frame, pairs, params, earlier)


def check_graph(rows, seed, folds, calibration_share):
    frame, places = make_frame(rows)
    components = reckon_components(frame, places)
    params = SplitParams(
        seed=seed,
        test_share=0.2,
        calibration_share=calibration_share,
        folds=folds,
        train_folds=(0,),
        near_duplicate_bits=24,
        keep="",
        keep_sha256="",
        too_good_auroc=0.995,
        too_good_cases=10,
    )
    nothing = pd.Series([], index=pd.Index([], dtype=str), dtype=str)
    if len(set(components)) < len(params.parts):
        with pytest.raises(SplitError, match="must form at least"):
            part(frame, params, nothing)
        return

    parted = part(frame, params, nothing)

    assert set(parted.fold) == params.parts
    assert ("calibration" in params.parts) == bool(calibration_share)
    check_components(parted, components)
    assert set(prove(parted, params, nothing)["crossings"].values()) == {0}
    check_classes(parted, len(params.parts))
    check_order(frame, parted, params, nothing)
    check_one_more(frame, parted, params, np.random.default_rng(seed))


def check_components(parted, components):
    """One group is one component, neither joined by what is missing nor parted."""
    assert parted.groupby(components).group_id.nunique().eq(1).all()
    assert parted.group_id.nunique() == len(set(components))
    assert parted.groupby(components).fold.nunique().eq(1).all()


def check_classes(parted, parts):
    """With components enough for all parts, a class is in every part, unless another needs them."""
    classes = parted.groupby("group_id").diagnosis.agg(lambda names: sorted(set(names)))
    if classes.map(len).max() > 1:
        return
    for name, holders in parted.groupby("diagnosis").group_id.nunique().items():
        if holders >= parts:
            assert parted.fold[parted.diagnosis == name].nunique() == parts


def check_order(frame, parted, params, nothing):
    shuffled = part(frame.sample(frac=1, random_state=1).reset_index(drop=True), params, nothing)
    shuffled = shuffled.set_index("image_id").loc[parted.image_id]
    assert shuffled.fold.tolist() == parted.fold.tolist()
    assert shuffled.group_id.tolist() == parted.group_id.tolist()


def check_one_more(frame, parted, params, rng):
    """With the parts kept, one more row moves nothing but what it joins; groups: even without."""
    copied = rng.integers(len(frame))
    row = frame.iloc[[copied]].assign(image_id="zzz", sha256="new", perceptual_hash="")
    more = pd.concat([frame, row], ignore_index=True)
    earlier = parted.set_index("image_id").fold
    after = part(more, params, earlier)
    joined = after.group_id == after.group_id.iloc[-1]
    others = after[~joined].set_index("image_id")
    before = parted.set_index("image_id").loc[others.index]
    assert others.fold.tolist() == before.fold.tolist()
    assert others.group_id.tolist() == before.group_id.tolist()
    assert after[joined].fold.nunique() == 1
    assert set(prove(after, params, earlier)["crossings"].values()) == {0}


@settings(max_examples=15)
@given(rows=graphs, seed=st.integers(0, 5), folds=st.integers(2, 4), share=shares)
def test_some_graphs_are_parted_along_their_components(rows, seed, folds, share):
    check_graph(rows, seed, folds, share)


@pytest.mark.slow
@settings(max_examples=2000)
@given(rows=graphs, seed=st.integers(0, 5), folds=st.integers(2, 4), share=shares)
def test_thousands_of_graphs_are_parted_along_their_components(rows, seed, folds, share):
    check_graph(rows, seed, folds, share)

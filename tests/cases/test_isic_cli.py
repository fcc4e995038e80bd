"""Tests of `pipeline.cases.isic_cli`."""

import pytest

from tests.cases.archives import NEVUS, kinds, write_cli


def test_isic_cli_reads_todays_hierarchy(tmp_path):
    (row,) = write_cli(
        tmp_path,
        "isic_id,copyright_license,age_approx,anatom_site_1,anatom_site_special,diagnosis_1,"
        "diagnosis_2,diagnosis_3,diagnosis_4,image_type,lesion_id,patient_id,sex",
        f'ISIC_1,CC-BY,55,Trunk,,{NEVUS},"Nevus, NOS, Dermal",dermoscopic,IL_1,IP_1,female',
    )

    assert (row.diagnosis, row.site, row.age_years, row.sex) == ("NV", "torso", 55, "female")
    assert row.diagnosis_raw.endswith(":Nevus:Nevus, NOS, Dermal")
    assert (row.lesion_id, row.patient_id, row.licence) == ("IL_1", "IP_1", "CC-BY")


def test_isic_cli_needs_no_more_than_an_image_and_a_diagnosis(tmp_path):
    """The columns of an export depend on the query."""
    (row,) = write_cli(tmp_path, "isic_id,diagnosis_1", "ISIC_1,Benign")

    assert (row.diagnosis, row.sex, row.site, row.licence, row.problem) == ("UNK", "", "", "", None)


@pytest.mark.parametrize("column", ["isic_id", "image_name"])
def test_isic_cli_reads_the_older_flat_export(tmp_path, column):
    header = f"{column},age_approx,sex,anatom_site_general,diagnosis,benign_malignant,image_type"
    (row,) = write_cli(tmp_path, header, "I,30,male,posterior torso,nevus,benign,dermoscopic")

    assert (row.image_id, row.diagnosis, row.site) == ("I", "NV", "torso")


@pytest.mark.parametrize(("word", "read"), [("II", "II"), ("vi", "VI"), ("unknown", ""), ("", "")])
def test_isic_cli_skin_type_is_kept_where_somebody_saw_it(tmp_path, word, read):
    header = "isic_id,diagnosis_1,fitzpatrick_skin_type"
    (row,) = write_cli(tmp_path, header, f"a,Benign,{word}")

    assert (row.fitzpatrick_skin_type, row.unknown_words, row.problem) == (read, (), None)


def test_isic_cli_empty_flat_diagnosis_is_unk_unless_malignant(tmp_path):
    rows = write_cli(tmp_path, "isic_id,diagnosis,benign_malignant", "a,,benign", "b,,malignant")

    assert [(row.diagnosis, row.diagnosis_raw) for row in rows] == [("UNK", ""), ("", "")]
    assert kinds(rows) == ["", "unknown diagnosis"]


def test_isic_cli_image_that_is_not_dermoscopic_is_refused(tmp_path):
    rows = write_cli(
        tmp_path,
        "isic_id,diagnosis_1,image_type",
        "a,Benign,dermoscopic",
        "b,Benign,clinical: overview",
        "c,Benign,",
    )

    assert kinds(rows) == ["", "not dermoscopic", ""]
    assert rows[1].problem.text == "image_type must be 'dermoscopic'. Got: 'clinical: overview'."


@pytest.mark.parametrize(
    ("column", "word", "kind"),
    [
        ("tbp_tile_type", "3D: XP", "not dermoscopic"),
        ("rcm_case_id", "RCM_1", "not dermoscopic"),
        ("image_manipulation", "synthetic", "synthetic image"),
        ("image_manipulation", "instrument only", ""),
        ("dermoscopic_type", "contact polarized", ""),
    ],
)
def test_isic_cli_other_columns_tell_what_an_image_is(tmp_path, column, word, kind):
    """The column image_type is not in every export."""
    rows = write_cli(tmp_path, f"isic_id,diagnosis_1,{column}", f"a,Benign,{word}", "b,Benign,")

    assert kinds(rows) == [kind, ""]

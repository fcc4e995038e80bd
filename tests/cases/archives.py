"""Small archives of each form that several tests make, and what they read of them."""

from pipeline.cases.sources import read_rows
from tests.cases.tables import write_csv

TRUTH = "ISIC_2019_Training_GroundTruth.csv"
METADATA = "ISIC_2019_Training_Metadata.csv"
TRUTH_HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
METADATA_HEADER = "image,age_approx,anatom_site_general,lesion_id,sex"
TABLE_2020 = "ISIC_2020_Training_GroundTruth_v2.csv"
HEADER_2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    "benign_malignant,target"
)
NEVUS = "Benign,Benign melanocytic proliferations,Nevus"


def write_2019(folder, truth, metadata):
    write_csv(folder / TRUTH, TRUTH_HEADER, *truth)
    write_csv(folder / METADATA, METADATA_HEADER, *metadata)
    return read_rows(folder, "isic_2019")


def write_2020(folder, *rows, duplicates=()):
    write_csv(folder / TABLE_2020, HEADER_2020, *rows)
    if duplicates:
        name = folder / "ISIC_2020_Training_Duplicates.csv"
        write_csv(name, "image_name_1,image_name_2", *duplicates)
    return read_rows(folder, "isic_2020")


def write_cli(folder, header, *rows):
    write_csv(folder / "metadata.csv", header, *rows)
    return read_rows(folder, "isic_cli")


def kinds(rows):
    return [row.problem.kind if row.problem else "" for row in rows]

"""The commands that fetch the challenges' own files, as ISIC and Kaggle publish them."""

ARCHIVES = "https://isic-archive.s3.amazonaws.com/challenges"
COMMANDS = {
    "isic_2019": f"""\
# {{folder}}: 9 GB. ISIC's files, listed at challenge.isic-archive.com/data
mkdir -p {{folder}}
( cd {{folder}}
for name in Input.zip GroundTruth.csv Metadata.csv; do
  curl -fLO {ARCHIVES}/2019/ISIC_2019_Training_$name
done
unzip -q ISIC_2019_Training_Input.zip && rm ISIC_2019_Training_Input.zip )""",
    "isic_2020": f"""\
# {{folder}}: 23 GB. ISIC's files, listed at challenge.isic-archive.com/data
mkdir -p {{folder}}
( cd {{folder}}
for name in JPEG.zip GroundTruth_v2.csv Duplicates.csv; do
  curl -fLO {ARCHIVES}/2020/ISIC_2020_Training_$name
done
unzip -q ISIC_2020_Training_JPEG.zip && rm ISIC_2020_Training_JPEG.zip )

# or, from Kaggle, whose table names no lesions; the duplicates are on ISIC's page alone
kaggle competitions download -c siim-isic-melanoma-classification -p data
unzip -q data/siim-isic-melanoma-classification.zip 'jpeg/train/*' train.csv -d {{folder}}""",
}

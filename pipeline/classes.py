"""The nine diagnostic classes, in ISIC 2019's own order. Defined here and nowhere else."""

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")

CLASS_NAMES = {
    "MEL": "Melanoma",
    "NV": "Melanocytic nevus",
    "BCC": "Basal cell carcinoma",
    "AK": "Actinic keratosis",
    "BKL": "Benign keratosis",
    "DF": "Dermatofibroma",
    "VASC": "Vascular lesion",
    "SCC": "Squamous cell carcinoma",
    "UNK": "Unknown, not further specified",
}

# Malignant or, for AK, treated as such: the positives of the binary outcome.
MALIGNANT = ("MEL", "BCC", "AK", "SCC")

# The binary outcomes, each with the class lists that a policy may choose from: actinic keratosis is
# treated, but most of it never becomes a carcinoma.
TARGETS = {
    "melanoma": (("MEL",),),
    "malignant": (MALIGNANT, tuple(name for name in MALIGNANT if name != "AK")),
}

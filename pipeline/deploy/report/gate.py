"""The input gate: how many genuine test images get a reason."""

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import count, percent, percent_interval
from pipeline.images.gate.limits import WORDS
from pipeline.page import Section, Text, word_table

ANY = "any"


def describe_gate(inputs: Inputs) -> Section:
    """List the reasons and how often genuine images get one."""
    table = inputs.gate.table("flagged").set_index("reason")
    fitted = inputs.gate.json("gate")
    whole = table.loc[ANY]
    rows = [
        (
            "Any of these" if reason == ANY else reason.replace("_", " "),
            WORDS.get(reason, ""),
            f"{count(row.flagged)} of {count(row.n)}",
            percent_interval(row, "share"),
        )
        for reason, row in table.iterrows()
    ]
    header = ["Reason", "What the user reads", "Images with it", "Share [interval]"]
    wanted = percent(fitted["false_positive_share"])
    return Section(
        "What it says of images it should not judge",
        blocks=[
            Text(
                f"{count(whole.flagged)} of {count(whole.n)} genuine test images get a reason, "
                f"{percent_interval(whole, 'share')}; wanted were {wanted}.",
                "takeaway",
            ),
            word_table(
                f"Genuine test images by reason, {inputs.percent} intervals",
                header,
                rows,
                words=header[1:2],
            ),
            Text(
                f"Fitted on {count(fitted['images'])} images outside the test set. The gate "
                "gives reasons as warnings and refuses nothing. This table counts false alarms "
                "alone: how many pictures that are no lesion are flagged is measured by "
                "python -m tools.measure_gate, on pictures that are not part of this run."
            ),
        ],
    )

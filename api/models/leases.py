"""Who may do what only one may do at a time."""

from api.models.columns import MICROS, NUMBER, WORD, required, table, text

lease = table(
    "lease",
    required("name", WORD, primary_key=True),
    required("holder", text(200)),
    # grows with each new holder: what an old holder writes late is refused by its number
    required("fence", NUMBER),
    required("until_us", MICROS),
)

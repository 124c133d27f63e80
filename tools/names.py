"""Makes engine/portico/hl7/names.tsv from the tables of hl7apy: `python tools/names.py`.

One line for each field and component, `PID-5` or `XPN.1`, then a column for each version that
changed it: `2.3 XPN Patient Name`. tests/hl7/test_names.py fails when the file is not what this
program makes.
"""

from pathlib import Path

import hl7apy

OUT = Path(__file__).parents[1] / "engine/portico/hl7/names.tsv"
CAPITALS = {
    "ABO", "AMA", "BP", "CPT", "DEA", "DME", "DNR", "DRG", "EIN", "GMDN", "HCFA", "HL7", "HPC",
    "ICD", "ID", "IDS", "LOINC", "NDC", "NPI", "OID", "OTC", "RX", "SSN", "TV", "UB", "UB82",
    "UB92", "UDI", "UOM", "UPC", "UPIN", "URI", "URL", "US", "VIP",
}  # fmt: skip
SMALL = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to"}


def versions() -> list[str]:
    """All that the library knows, the oldest first."""
    return sorted(
        hl7apy.SUPPORTED_LIBRARIES, key=lambda text: [int(n) for n in text.split(".")]
    )


def spelt(name: str) -> str:
    """`PATIENT_ID_INTERNAL_ID` as a person writes it."""
    words = [
        word if word in CAPITALS else word.capitalize() for word in name.split("_") if word
    ]
    small = [w.lower() if n and w.lower() in SMALL else w for n, w in enumerate(words)]
    return " ".join(small).replace("Date Time", "Date/Time").replace("Familiy", "Family")


def known(version: str) -> dict[str, str]:
    """`XPN Patient Name` by place, for one version."""
    library = hl7apy.load_library(version)
    found = {}
    for key, entry in library.FIELDS.items():
        segment, _, number = key.rpartition("_")
        found[f"{segment}-{number}"] = entry
    for key, entry in library.DATATYPES.items():
        kind, _, number = key.rpartition("_")
        if number.isdigit():
            found[f"{kind}.{number}"] = entry
    return {
        key: f"{entry[2] or '?'} {spelt(entry[3])}" for key, entry in found.items() if entry[3]
    }


def order(key: str) -> tuple[bool, str, int]:
    """Fields first, each segment's by number."""
    name, mark, number = key.replace(".", "-.").partition("-")
    return mark + number[:1] == "-.", name, int(number.lstrip("."))


def table() -> str:
    """The text of the file."""
    everything = {version: known(version) for version in versions()}
    lines = [" ".join(everything)]
    for key in sorted(set().union(*everything.values()), key=order):
        columns, last = [key], ""
        for version, names in everything.items():
            now = names.get(key, last)
            if now != last:
                columns.append(f"{version} {now}")
            last = now
        lines.append("\t".join(columns))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUT.write_text(table(), encoding="ascii")

"""XML in the tags of a TIFF: small, and without anything that is expanded."""

from xml.etree.ElementTree import Element, ParseError, XMLParser

_LONGEST = 1 << 24
"""Characters that are read."""


def parse_xml(text: str) -> Element | None:
    """Parse XML, its names without their namespaces; None if it is damaged, huge or declares entities."""
    if len(text) > _LONGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    parser = XMLParser()
    try:
        parser.feed(text.rstrip("\0"))
        root = parser.close()
    except (ParseError, ValueError, LookupError):
        return None
    for each in root.iter():
        each.tag = str(each.tag).rpartition("}")[2]
    return root

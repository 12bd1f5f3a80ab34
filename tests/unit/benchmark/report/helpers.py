from facelink.benchmark.document import Document, Figure, Section, Table

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><clipPath id="p1"/>'
    '<path id="a" clip-path="url(#p1)"/><use xlink:href="#a"/></svg>'
)
NASTY = "<script>alert('x')</script> & | *bold* [link](x)"


def table(name="scores", **changes):
    values = {
        "caption": f"Scores of {NASTY}",
        "columns": ("method", "F", "clusters", "seconds"),
        "rows": ((NASTY, "97.1 %", "5,749", "–"), ("K-means", "81.0 %", "12", "1.2 s")),
        "note": "First note.\n\nSecond note.",
    }
    return Table(name, **(values | changes))


def figure(name="curve"):
    return Figure(name, 'What "it" shows. More.', SVG)


def document(tables=None, figures=None):
    section = Section(
        f"Results {NASTY}",
        "One\nparagraph.\n\nAnother.",
        (table(),) if tables is None else tables,
        (figure(), figure("other")) if figures is None else figures,
    )
    return Document(f"Report {NASTY}", (("seed", "0"), ("data", NASTY)), (section,))

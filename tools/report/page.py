# SPDX-License-Identifier: GPL-2.0
"""One HTML file, piece by piece, that needs no other."""
from html import escape

from charts import CHART_STYLE, DARK, LIGHT, coloured, num

PAGE_COLOURS = "body{background:$bg;color:$ink;}th,td,h2{border-color:$grid;}.note{color:$muted;}"
PAGE_STYLE = """
body{font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;margin:0}
main{max-width:1040px;margin:auto;padding:16px 20px 48px}p,ul{max-width:46em}h1{font-size:1.7em;margin:.5em 0}
h2{font-size:1.25em;margin:2em 0 .6em;padding-top:.6em;border-top:1px solid}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:24px 40px;margin:20px 0}
.charts.wide{grid-template-columns:minmax(0,1fr)}.charts svg{display:block;width:100%;max-width:520px}
.charts.wide svg{max-width:none;min-width:760px}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875em;margin:0 0 16px}.note{font-size:.875em;margin:24px 0 4px}
th,td{text-align:left;padding:3px 18px 3px 0;border-bottom:1px solid;vertical-align:top}th{vertical-align:bottom}
td{white-space:nowrap}td.long{white-space:normal;min-width:16em}.n{font-variant-numeric:tabular-nums}
th.n,td.n{text-align:right}ul.key{list-style:none;padding:0}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.5em;print-color-adjust:exact}
"""
PAGE_MEDIA = """
@media(max-width:600px){td:nth-child(2):not(.n){white-space:normal;min-width:9em}
th,td{padding-right:10px}table{font-size:.8em}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}.scroll{overflow:visible}td{white-space:normal}
.charts.wide svg{min-width:0}h2,.note{break-after:avoid}svg,tr{break-inside:avoid}}
"""


class Page:
    """HTML, piece by piece."""

    def __init__(self):
        self.parts, self.ids = [], 0

    def add(self, tag, what):
        self.parts.append(f"<{tag}>{escape(what)}</{tag}>")

    def section(self, title, what):
        self.add("h2", title)
        self.add("p", what)

    def charts(self, panels, wide=False):
        self.parts.append(f'<div class="charts{" wide" if wide else ""}">')
        for panel in panels:
            self.ids += 1
            i = self.ids
            self.parts.append(f'<div class="scroll"><svg viewBox="0 0 {panel.width} {panel.height}" role="img" '
                              f'aria-labelledby="t{i} d{i}"><title id="t{i}">{escape(panel.title)}</title>'
                              f'<desc id="d{i}">{escape(panel.desc)}</desc>{panel.body}</svg></div>')
        self.parts.append("</div>")

    def table(self, caption, head, rows):
        """Whole numbers, and what has none (None), are to the right; text is to the left."""
        def cell(value):
            if isinstance(value, str):
                return f"<td{' class=long' if len(value) > 40 else ''}>{escape(value)}</td>"
            shown = "–" if value is None else num(value) if isinstance(value, int) else f"{value:,.2f}"
            return f'<td class="n">{shown}</td>'

        numeric = [not all(isinstance(row[i], str) for row in rows) for i in range(len(head))]
        heads = "".join(f'<th scope="col"{" class=n" if right else ""}>{escape(name)}</th>'
                        for name, right in zip(head, numeric))
        body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
        self.ids += 1
        self.parts.append(f'<p class="note" id="c{self.ids}">{escape(caption)}</p>'
                          f'<div class="scroll" tabindex="0" role="region" aria-labelledby="c{self.ids}">'
                          f'<table aria-labelledby="c{self.ids}"><thead><tr>{heads}</tr></thead>'
                          f"<tbody>{body}</tbody></table></div>")

    def html(self):
        return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1">'
                '<meta name="color-scheme" content="light dark"><title>lazyirq: a run, measured</title>'
                f"<style>{page_style()}</style></head><body><main>{chr(10).join(self.parts)}</main></body></html>\n")


def page_style():
    light, dark = (coloured(PAGE_COLOURS + CHART_STYLE, colours) for colours in (LIGHT, DARK))
    return f"{PAGE_STYLE}{light}@media screen and (prefers-color-scheme:dark){{{dark}}}{PAGE_MEDIA}"

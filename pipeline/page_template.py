"""The HTML and the style of a page that opens offline: on a desk, on a phone and on paper.

Dark text on white; every pair of colours has a contrast of at least 4.5 to 1. No script: contents
fold with `<details>`, which the keyboard reaches and which paper shows open.
"""

STYLE = """\
:root { color-scheme: light; --ink: #1b1f24; --soft: #4a5360; --line: #dfe3e8; --blue: #005a93;
        --pale: #f4f6f8; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink);
       background: #fff; margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 1rem; }
h2 { font-size: 1.4rem; line-height: 1.25; margin: 3rem 0 .8rem; padding-top: 1.2rem;
     border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
p, ul { max-width: 46rem; }
a { color: var(--blue); }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; padding: .5rem; }
.takeaway { font-size: 1.1rem; line-height: 1.5; }
.notice, .alarm { border-left: 5px solid #e69f00; background: #fff6e0; padding: .6rem 1rem;
                  max-width: none; }
.alarm { border-color: #a32000; background: #fdeee9; font-weight: 600; }
.wide { display: none; }
.narrow { border: 1px solid var(--line); border-radius: 6px; margin: 1.2rem 0; }
nav ol { list-style: none; margin: 0; padding: 0; counter-reset: section; }
nav li { counter-increment: section; }
nav li a { display: block; padding: .28rem .6rem; color: var(--ink); text-decoration: none;
           border-radius: 4px; font-size: .92rem; line-height: 1.35; }
nav li a::before { content: counter(section) "\\2002"; color: var(--soft);
                   font-variant-numeric: tabular-nums; }
nav li a:hover { background: var(--pale); text-decoration: underline; }
.narrow li a { padding: .5rem .8rem; }
summary { cursor: pointer; padding: .45rem .6rem; color: var(--blue); font-weight: 600; }
main details { border: 1px solid var(--line); border-radius: 6px; margin: .8rem 0; }
main details > .scroll { margin: 0; padding: 0 .6rem .6rem; }
.cards { display: grid; gap: .8rem; margin: 1.2rem 0;
         grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.card { margin: 0; border: 1px solid var(--line); border-top: 4px solid var(--blue);
        border-radius: 6px;
        padding: .7rem .9rem .8rem; }
.card dt { font-weight: 600; line-height: 1.3; }
.card dd { margin: 0; color: var(--soft); font-size: .9rem; line-height: 1.4; }
.card .value { color: var(--ink); font-size: 1.9rem; font-weight: 650; line-height: 1.35;
               font-variant-numeric: tabular-nums; }
.card .value.undefined { font-size: 1.3rem; }
.card svg { display: block; width: 100%; height: 1.6rem; margin: .2rem 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
caption span { display: inline-block; position: sticky; left: 0;
               max-width: calc(100vw - 2rem); }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { font-weight: 600; } tbody th { font-weight: 500; white-space: nowrap; }
th.text, td.text { text-align: left; } td:not(.text) { white-space: nowrap; }
td.text { min-width: 8rem; }
thead th { border-bottom: 2px solid #8793a6; vertical-align: bottom; }
tbody tr:hover { background: var(--pale); }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; display: block; }
.drawing img { max-width: min(100%, 46rem); }
figcaption { color: var(--soft); font-size: .92rem; max-width: 46rem; margin-top: .4rem; }
pre { background: var(--pale); padding: .8rem 1rem; overflow-x: auto; font-size: .85rem;
      line-height: 1.45; border-radius: 6px; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); color: var(--soft); }
@media (min-width: 76rem) {
  body { max-width: 84rem; display: grid; grid-template-columns: 17rem minmax(0, 1fr);
         column-gap: 3rem; padding: 1.5rem 2rem 4rem; }
  .wide { display: block; position: sticky; top: 1.5rem; align-self: start;
          max-height: calc(100vh - 3rem); overflow-y: auto; }
  .wide p { font-weight: 600; margin: 0 .6rem .4rem; }
  .narrow { display: none; }
}
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; } h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; }
  .picture { overflow-x: auto; } .picture img { max-width: none; width: 40rem; }
  .photographs img { width: 60rem; }
}
@page { margin: 16mm 14mm; }
@media print {
  body { display: block; max-width: none; padding: 0; font-size: 10pt; }
  .wide, .narrow, .skip { display: none; }
  h2 { break-after: avoid; } h3, caption { break-after: avoid; }
  figure, .card, tr, .notice, .alarm { break-inside: avoid; }
  .scroll, pre { overflow: visible; } pre { white-space: pre-wrap; }
  table { font-size: 7.5pt; } th, td { padding: .12rem .35rem; white-space: normal !important; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  main details { border: 0; } summary { list-style: none; color: var(--ink); padding: .2rem 0; }
  a { color: inherit; text-decoration: none; }
  .card { border-top-width: 2px; } .drawing img { max-height: 225mm; width: auto; }
  .photographs img { width: 100%; }
}
"""

HTML = """\
{% macro links(sections) %}
<ol>
{% for section in sections %}
<li><a href="#section-{{ loop.index }}">{{ section.title }}</a></li>
{% endfor %}
</ol>
{% endmacro %}
{% macro grid(table, is_named) %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
{% if is_named %}<caption><span>{{ table.caption }}</span></caption>{% endif %}

<thead><tr>{% for cell in table.header %}<th scope="col"{{ table.classes[loop.index0] }}>\
{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for cell in row %}{% if loop.first %}<th scope="row"{{ table.classes[0] }}>{{ cell }}</th>\
{% else %}<td{{ table.classes[loop.index0] }}>{{ cell }}</td>{% endif %}{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endmacro %}
{% macro card(item) %}
<dl class="card">
<dt>{{ item.label }}</dt>
<dd class="value{{ '' if item.is_defined else ' undefined' }}">{{ item.value }}</dd>
{% if item.scale %}
<dd><svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
<rect x="0" y="5" width="100" height="2" fill="#dfe3e8"/>
{% if item.scale.width %}<rect x="{{ item.scale.left }}" y="4" width="{{ item.scale.width }}" \
height="4" fill="#56b4e9"/>{% endif %}

{% if item.scale.reference is not none %}<rect x="{{ item.scale.reference }}" y="0" width=".6" \
height="12" fill="#a32000"/>{% endif %}

<rect x="{{ item.scale.place }}" y="1" width="1.2" height="10" fill="#1b1f24"/>
</svg></dd>
{% endif %}
{% for note in item.notes %}
<dd>{{ note }}</dd>
{% endfor %}
</dl>
{% endmacro %}
{% macro show(block) %}
{% if block.kind == "text" %}
<p{% if block.look %} class="{{ block.look }}"{% endif %}>{{ block.text }}</p>
{% elif block.kind == "heading" %}
<h3>{{ block.text }}</h3>
{% elif block.kind == "bullets" %}
<ul>{% for item in block.items %}<li>{{ item }}</li>{% endfor %}</ul>
{% elif block.kind == "code" %}
{% if block.summary %}<details><summary>{{ block.summary }}</summary>{% endif %}

<pre tabindex="0">{{ block.text }}</pre>
{% if block.summary %}</details>{% endif %}

{% elif block.kind == "cards" %}
<div class="cards">{% for item in block.cards %}{{ card(item) }}{% endfor %}</div>
{% elif block.kind == "table" %}
{% if block.is_folded %}
<details><summary>{{ block.caption }}</summary>{{ grid(block, false) }}</details>
{% else %}
{{ grid(block, true) }}
{% endif %}
{% elif block.kind == "picture" %}
<figure><div class="picture {{ block.look }}" tabindex="0">\
<img src="data:{{ block.media_type }};base64,{{ block.base64 }}" alt="{{ block.alt }}"></div>
<figcaption>{{ block.caption }}</figcaption></figure>
{% endif %}
{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
{{ style }}</style>
</head>
<body>
<a class="skip" href="#section-1">Skip to the content</a>
<nav class="wide" aria-label="Contents"><p>Contents</p>{{ links(sections) }}</nav>
<main>
<h1>{{ title }}</h1>
<p class="notice">{{ notice }}</p>
<p>{{ lead }}</p>
<details class="narrow"><summary>Contents</summary>
<nav aria-label="Contents, folded">{{ links(sections) }}</nav></details>
{% for section in sections %}
<section id="section-{{ loop.index }}" aria-label="{{ section.title }}">
<h2>{{ section.title }}</h2>
{% for block in section.all_blocks %}
{{ show(block) }}
{% endfor %}
</section>
{% endfor %}
<footer><p>{{ notice }}</p></footer>
</main>
</body>
</html>
"""

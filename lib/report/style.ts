/*
 * The page's looks. Colours are custom properties, so that plots follow light, dark and paper. Those
 * of the defenses are told apart with any kind of colour blindness (after Okabe and Ito), and lines
 * differ in dashes besides.
 */
const light = `
  --paper: #fdfdfc; --panel: #ffffff; --ink: #1c1b19; --soft: #55524d; --faint: #736f68;
  --line: #dcd9d3; --grid: #e8e6e1; --bad: #b3261e; --bad-soft: #fbe3df; --note: #fff2c4;
  --none: #d14a00; --dece: #0069b4; --dece-2: #2f9bd6; --dece-3: #5a5fc7;
  --gce: #008060; --gce-2: #3fa98c; --gce-3: #6d8f2f;
  --in-trust: #a9478a; --in-trust-2: #c77bb0; --in-trust-3: #84407a;
  --label-smoothing: #a87400; --label-smoothing-2: #c69a35; --label-smoothing-3: #7d5f1c;`;

const dark = `
  --paper: #151514; --panel: #1d1d1b; --ink: #eceae5; --soft: #b8b4ac; --faint: #98948c;
  --line: #3a3936; --grid: #2c2b29; --bad: #ff8a80; --bad-soft: #4a201c; --note: #4d4013;
  --none: #ff8f4d; --dece: #5cb3f5; --dece-2: #9ad4ff; --dece-3: #a6a8ff;
  --gce: #3fcf9f; --gce-2: #86e0c2; --gce-3: #b5d36a;
  --in-trust: #eb94cc; --in-trust-2: #f5bfe1; --in-trust-3: #cf8fc4;
  --label-smoothing: #efbd45; --label-smoothing-2: #f5d488; --label-smoothing-3: #cfae6a;`;

export const style = `
:root { color-scheme: light dark; ${light} }
@media screen and (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
}
main, header, footer { max-width: 74rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
header { padding-top: clamp(2rem, 6vw, 4rem); }
h1, .verdict { font-family: Charter, "Bitstream Charter", "Iowan Old Style", "Source Serif 4", Cambria, Georgia, serif; }
h1 { font-size: clamp(1.7rem, 4.2vw, 2.6rem); line-height: 1.15; letter-spacing: -0.015em; font-weight: 600; margin: 0 0 0.6rem; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; letter-spacing: -0.01em; line-height: 1.25; margin: 0 0 0.5rem; }
h3 { font-size: 1rem; margin: 0; line-height: 1.3; }
p { margin: 0 0 0.8rem; }
.kicker { color: var(--faint); font-size: 0.8125rem; margin: 0 0 0.7rem; }
.lead { color: var(--soft); max-width: 46rem; }
.verdict { font-size: clamp(1.15rem, 2.3vw, 1.4rem); line-height: 1.45; max-width: 56rem; margin: 0 0 1.4rem; text-wrap: pretty; }
section { margin: clamp(2.2rem, 5vw, 3.5rem) 0 0; padding-top: 1.6rem; border-top: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 0.35rem 1.4rem; list-style: none; margin: 0 0 1rem; padding: 0; font-size: 0.9375rem; font-weight: 600; }
.legend li { display: flex; align-items: center; gap: 0.5rem; }
.legend svg { width: 30px; height: 10px; overflow: visible; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.2rem; }
figure { margin: 0; padding: 1rem 1.1rem 0.6rem; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; min-width: 0; display: flex; flex-direction: column; }
figcaption p { color: var(--faint); font-size: 0.8125rem; line-height: 1.35; margin: 0.15rem 0 0.5rem; }
figure svg { display: block; width: 100%; height: auto; margin-top: auto; color: var(--faint); font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1.4rem 0 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.6rem 0 0.6rem 1.2rem; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { font-size: 0.8125rem; font-weight: 600; color: var(--faint); vertical-align: bottom; }
tbody th { font-weight: 600; }
td small, th small { display: block; color: var(--faint); font-size: 0.8125rem; font-weight: 400; }
.key { display: inline-block; width: 0.7em; height: 0.7em; border-radius: 50%; margin-right: 0.55em; }
.bar { position: relative; width: 9rem; height: 0.5rem; margin: 0.45rem 0 0.25rem auto; background: var(--grid); border-radius: 3px; }
.bar i, .bar b { position: absolute; top: 0; bottom: 0; border-radius: 3px; }
.bar i { opacity: 0.35; min-width: 2px; }
.bar b { width: 3px; margin-left: -1.5px; top: -3px; bottom: -3px; }
.note { color: var(--faint); font-size: 0.875rem; margin: 0.7rem 0 0; max-width: 56rem; }
details { margin: 1.4rem 0 0; }
summary { cursor: pointer; font-weight: 600; }
.example { margin: 1.2rem 0 0; padding: 1rem 1.1rem; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
.example > p { margin: 0 0 0.9rem; overflow-wrap: anywhere; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 23rem), 1fr)); gap: 0.9rem; }
.answer { min-width: 0; border-left: 3px solid var(--line); padding-left: 0.8rem; }
.answer h4 { margin: 0 0 0.3rem; font-size: 0.875rem; display: flex; gap: 0.6rem; align-items: baseline; flex-wrap: wrap; }
.answer h4 span { font-weight: 400; color: var(--faint); }
.answer h4 .hit { color: var(--bad); font-weight: 600; }
pre { margin: 0; font: 0.8125rem/1.5 ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", Consolas, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 2; }
mark { color: inherit; background: var(--note); border-radius: 3px; padding: 0.05em 0.25em; }
mark.payload { background: var(--bad-soft); color: var(--bad); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.3rem 1.4rem; margin: 0; font-size: 0.9375rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "SF Mono", "Cascadia Code", Consolas, "DejaVu Sans Mono", monospace; font-size: 0.875em; }
.runs td, .runs th { padding-top: 0.35rem; padding-bottom: 0.35rem; font-size: 0.875rem; }
footer { color: var(--faint); font-size: 0.8125rem; padding-top: 2.5rem; padding-bottom: 3rem; }
@media (max-width: 52rem) { .plots { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 34rem) {
  figure { padding: 0.8rem 0.6rem 0.4rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: 0.5rem; }
}
@media print {
  @page { margin: 15mm; }
  body { font-size: 10pt; background: none; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  section { margin-top: 1.2rem; padding-top: 1rem; }
  .plots { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.8rem; }
  figure, .example, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  .bar { width: 6rem; }
  .bar, .bar i, .bar b, .key, mark { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`;

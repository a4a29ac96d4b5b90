/**
 * The look of the HTML report: light and dark, paper and phone. Series colours are Okabe and Ito's (2008), told apart
 * by people with any kind of colour vision; their dark variants are lightened. Each series has its own dash as well.
 */
export const SERIES = 6;

export const style = `
:root {
  color-scheme: light dark;
  --page: #fcfcfa; --ink: #1c1f23; --soft: #5b636d; --line: #dadde0; --card: #f2f3ef; --mark: #0a6b4d;
  --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #b0558f; --s5: #b07c00; --s6: #3a9bd5; --s0: #a3a9b0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --ink: #e8eaec; --soft: #9aa3ad; --line: #33393f; --card: #1d2226; --mark: #57d0a6;
    --s1: #4fb0ea; --s2: #ff8b45; --s3: #33c79b; --s4: #e39ac6; --s5: #e6b43c; --s6: #9ad4f5; --s0: #626b74;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%; overflow-wrap: break-word;
}
h1 { font-size: 1.1rem; font-weight: 600; color: var(--soft); margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 3rem 0 .75rem; }
.answer { max-width: none; font-size: clamp(1.2rem, 2.4vw, 1.6rem); line-height: 1.4; font-weight: 600; margin: 0 0 1.5rem; text-wrap: pretty; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; }
p, ul { max-width: 48rem; } ul { padding-left: 1.2rem; } li { margin: .35rem 0; }
.care { background: var(--card); border-left: 4px solid var(--s5); border-radius: 0 6px 6px 0; padding: .9rem 1.1rem; margin-top: 2rem; font-size: .92rem; }
.care h2 { font-size: 1rem; margin: 0 0 .3rem; } .care ul { margin: 0; max-width: none; }
.fine { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: 1rem 0 1.5rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .3rem; }
th, td { padding: .32rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
td.wide { white-space: normal; min-width: 14rem; }
th { font-weight: 600; color: var(--soft); border-bottom-width: 2px; }
th[scope=row] { color: var(--ink); font-weight: 400; border-bottom-width: 1px; white-space: normal; min-width: 13rem; } th[scope=row] span { white-space: nowrap; }
.n { text-align: right; }
td.best { font-weight: 700; color: var(--mark); }
tbody tr:hover { background: var(--card); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.5rem 2rem; margin: 1rem 0 1.5rem; }
.plots.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
figure { margin: 0; min-width: 0; } figcaption { font-size: .9rem; margin-bottom: .3rem; } figcaption small { color: var(--soft); display: block; font-size: .85rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-size: 13px; }
svg text { fill: var(--soft); } svg text.value { fill: var(--ink); } svg text.end { text-anchor: end; } svg text.middle { text-anchor: middle; }
.axis, .grid { stroke: var(--line); stroke-width: 1; fill: none; } .rung { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 1 4; }
.level { stroke: var(--mark); stroke-width: 1; stroke-dasharray: 6 4; opacity: .55; } .target { stroke-dasharray: none; opacity: .8; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .curve.s0 { stroke-width: 1.1; opacity: .7; }
.front { fill: none; stroke: var(--ink); stroke-width: 1.2; opacity: .5; } .end-mark { stroke: var(--page); stroke-width: 1; } .cross { fill: none; stroke-width: 2; }
.curve:hover { stroke-width: 4; opacity: 1; }
.beyond { fill-opacity: .16; stroke-width: 1.2; stroke-dasharray: 4 3; }
${['0', '1', '2', '3', '4', '5', '6']
  .map(
    (i) =>
      `.curve.s${i}, .cross.s${i}, .beyond.s${i} { stroke: var(--s${i}); } .fill.s${i} { fill: var(--s${i}); }`,
  )
  .join('\n')}
.s2 { stroke-dasharray: 9 3; } .s3 { stroke-dasharray: 2 3; } .s4 { stroke-dasharray: 9 3 2 3; } .s5 { stroke-dasharray: 5 3; } .s6 { stroke-dasharray: 12 3 2 3 2 3; }
.fill, .cross { stroke-dasharray: none; }
.legend { display: flex; flex-direction: column; justify-content: center; gap: .3rem; list-style: none; padding: 0; margin: 0; font-size: .92rem; }
.below .legend { flex-flow: row wrap; justify-content: flex-start; gap: .15rem 1.2rem; margin-bottom: 1.2rem; max-width: none; }
.legend li { margin: 0; display: flex; align-items: center; gap: .45rem; } .legend svg { width: 34px; flex: none; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) { body { padding-top: 1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .45rem; } h2 { margin-top: 2.2rem; } th[scope=row] { min-width: 8.5rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } .scroll { overflow: visible; } figure, tr { break-inside: avoid; } }
`;

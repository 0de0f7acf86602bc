// The look of the page: light or dark as the reader's system is, one column that fills the window
// up to a width, pictures in two sizes.

export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #57606a; --line: #d8dee4; --paper: #fff; --bar: #cfe3ff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #9aa4af; --line: #33383f; --paper: #14171b; --bar: #1f3f6e } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 67rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--paper) }
h1 { margin: 0 0 .2rem; overflow-wrap: anywhere } h2 { margin: 2.6rem 0 .4rem } h2 + p { margin-top: 0 } p { max-width: 52rem }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0; padding: 0 }
.facts div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem }
.facts dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere } .facts dt, .notes, .legend { color: var(--faint); font-size: .85rem }
figure { margin: 0 0 .8rem } svg { display: block; max-width: 100%; height: auto } .narrow { display: none }
.row-of { display: flex; flex-wrap: wrap; gap: .5rem 16px }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .4rem 0 .6rem; padding: 0; list-style: none } .legend li { overflow-wrap: anywhere }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: .15em; background: var(--c) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } .scroll { overflow-x: auto }
th, td { padding: .15rem .7rem; text-align: left; border-bottom: 1px solid var(--line); font-weight: normal } thead th { font-weight: 600 } .n { text-align: right; white-space: nowrap }
.tree { font-size: .85rem; min-width: 58rem } .tree details, .tree div.row { border-top: 1px solid var(--line) }
.row { display: grid; grid-template-columns: minmax(15rem, 2fr) 8rem 8rem 7rem 8.5rem 6rem 6rem; gap: .5rem; padding: .1rem 0; font-variant-numeric: tabular-nums }
.row > :nth-child(n + 4) { text-align: right } .head { font-weight: 600; position: sticky; top: 0; background: var(--paper) }
summary { cursor: pointer; list-style: none } summary::-webkit-details-marker { display: none } summary .name::before { content: "▸ "; color: var(--faint) } details[open] > summary .name::before { content: "▾ " }
details > :not(summary) .name { padding-left: 1rem } details > details > :not(summary) .name { padding-left: 2rem }
details > details > details > :not(summary) .name { padding-left: 3rem }
div.row .name::before { content: "  "; white-space: pre } .bar { background: linear-gradient(var(--bar), var(--bar)) no-repeat right / var(--share) 100% }
@media (max-width: 48rem) { .wide { display: none } .narrow { display: block } .facts { grid-template-columns: repeat(2, 1fr) } .facts dd { font-size: 1rem } th, td { padding: .15rem .4rem } th:first-child { padding-left: 0 } .what { min-width: 16rem } th[scope="row"] { min-width: 7rem } }
`;

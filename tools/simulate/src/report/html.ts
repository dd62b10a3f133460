import type { RunResult } from '../run/result.js';
import type { Scenario } from '../scenario/schema.js';
import { byScenario, type Figure, FIGURES, shown } from './figures.js';
import { barPlot, colourOf, escaped, linePlot } from './svg.js';

/** A curve this much longer at its end than in its middle is drawn on a logarithmic axis. */
const LOG_AXIS_RATIO = 8;

/** The whole report: one page that needs nothing but itself. */
export function htmlReport(results: readonly RunResult[], scenarios: ReadonlyMap<string, Scenario>): string {
  const groups = [...byScenario(results)];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scheduling strategies compared</title>
<style>
  :root { color-scheme: light dark; --ink: #1b1f24; --soft: #667; --line: #d8dce2; --paper: #fff; --best: #e3f4ea; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa3ad; --line: #3a4149; --paper: #16191d; --best: #173a27; } }
  body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 1180px; padding: 0 1rem; }
  h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; font-size: 1.2rem; border-top: 1px solid var(--line); padding-top: 1rem; }
  p, .soft { color: var(--soft); max-width: 75ch; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px; }
  .wide { overflow-x: auto; }
  th, td { text-align: right; padding: .3rem .4rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; } th { font-weight: 600; color: var(--soft); }
  td.best { background: var(--best); font-weight: 600; }
  .swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .45em; }
  .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 1rem; margin-top: 1rem; }
  svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: var(--soft); }
  svg .title { font-weight: 600; font-size: 12px; fill: var(--ink); } svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
  svg .mark { stroke: var(--ink); stroke-dasharray: 4 3; }
</style>
<h1>Scheduling strategies compared</h1>
<p>The scheduler's real code in virtual time against a modelled network; the same seed gives the same figures but for
decisions per second and memory. Lower bound: the fluid minimum distribution time, which knows no latency, pieces or
ignorance. The best figure of each column is marked when it is ahead by more than 1 %.</p>
${groups.map(([name, group]) => section(name, group, scenarios.get(name))).join('\n')}
</html>
`;
}

function section(name: string, group: readonly RunResult[], scenario: Scenario | undefined): string {
  const [first] = group;
  if (first === undefined) return '';
  const { downloads, hosts, seed, lowerBoundSeconds, boundBecause } = first;
  return `<h2 id="${escaped(name)}">${escaped(name)}</h2>
<p>${escaped(scenario?.description ?? '')} ${hosts} hosts, ${downloads.total} downloads, seed ${seed}. Lower bound on the
makespan: ${shown(lowerBoundSeconds)} s, because of ${escaped(boundBecause)}.</p>
<div class="wide">${table(group)}</div>
<div class="plots">
${completionPlot(group)}
${barPlot({
  title: 'Makespan',
  y: 'seconds',
  bars: group.map(({ strategy, makespanSeconds }) => ({ name: strategy, value: makespanSeconds })),
  mark: { y: lowerBoundSeconds, label: 'lower bound' },
})}
${trafficPlot(group)}
</div>`;
}

function table(group: readonly RunResult[]): string {
  const head = FIGURES.map(({ title, unit }) => `<th>${escaped(unit === '' ? title : `${title} [${unit}]`)}</th>`).join(
    '',
  );
  const rows = group.map((result, index) => {
    const cells = FIGURES.map((figure) => {
      const isBest = isAhead(result, group, figure);
      return `<td${isBest ? ' class="best"' : ''}>${shown(figure.value(result))}</td>`;
    });
    return `<tr><td><span class="swatch" style="background:${colourOf(index)}"></span>${escaped(result.strategy)}</td>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr><th>strategy</th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

/** By more than a hundredth of all others' figures. */
function isAhead(result: RunResult, group: readonly RunResult[], { value, better }: Figure): boolean {
  const own = value(result);
  const others = group.filter((other) => other !== result).map(value);
  if (others.length === 0) return false;
  return better === 'less' ? own < Math.min(...others) * 0.99 : own > Math.max(...others) * 1.01;
}

function completionPlot(group: readonly RunResult[]): string {
  const all = group.flatMap(({ completionCurve }) => completionCurve);
  const longest = Math.max(...all);
  const middle = Math.min(...group.map(({ completionSeconds }) => completionSeconds.p50));
  return linePlot({
    title: 'Downloads that are complete after a time',
    x: 'seconds since the host asked',
    y: '% complete',
    isLogX: longest > LOG_AXIS_RATIO * middle,
    series: group.map(({ strategy, completionCurve }) => ({
      name: strategy,
      points: completionCurve.map((seconds, index) => [seconds, (index / (completionCurve.length - 1)) * 100] as const),
    })),
  });
}

function trafficPlot(group: readonly RunResult[]): string {
  const isRemote = group.some(({ crossIdcGib }) => crossIdcGib > 0);
  return barPlot(
    isRemote
      ? {
          title: 'Bytes between data centres',
          y: 'GiB',
          bars: group.map(({ strategy, crossIdcGib }) => ({ name: strategy, value: crossIdcGib })),
        }
      : {
          title: "Fairness of upload (Jain's index)",
          y: '0 … 1',
          bars: group.map(({ strategy, uploadFairness }) => ({ name: strategy, value: uploadFairness })),
        },
  );
}

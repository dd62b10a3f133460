import { loadScenario } from '../scenario/load.js';
import { simulate } from '../run/simulation.js';
import { htmlReport } from './html.js';
import { markdownTable, textTable } from './table.js';

const loaded = loadScenario('small');
const results = await Promise.all(['default', 'random'].map((strategy) => simulate({ loaded, strategy, seed: 1 })));

it('the table names every strategy, every figure and the lower bound', () => {
  const text = textTable(results);
  for (const word of [
    'default',
    'random',
    'makespan',
    'p99',
    'source ÷ size',
    'cross-IDC',
    'fairness',
    'decisions/s',
    'heap',
  ]) {
    expect(text).toContain(word);
  }
  expect(text).toContain('lower bound 4.19 s (the cards of the seeds)');
  expect(markdownTable(results)).toMatch(/^\| scenario \|.*\n\| --- .*\n\| small \| 4.19 \| default \|/);
});

it('the report is one page that loads nothing', () => {
  const html = htmlReport(results, new Map([['small', { ...loaded.scenario, description: '<b>&' }]]));
  expect(html).toContain('&lt;b&gt;&amp;');
  expect(html).not.toContain('<b>&');
  const addresses = [...html.matchAll(/https?:\/\/[^"'\s<]+/g)].map(([address]) => address);
  expect(new Set(addresses)).toEqual(new Set(['http://www.w3.org/2000/svg']));
  expect(html).not.toMatch(/<(script|link|img|iframe)\b|src=|@import|url\(/);
  expect(html.match(/<svg /g)).toHaveLength(3);
  expect(html).not.toMatch(/NaN|undefined|Infinity/);
});

/** Drawing width and height of every plot, in pixels of the SVG's own coordinates. */
const WIDTH = 460;
const HEIGHT = 250;
const MARGIN = { left: 52, right: 12, top: 26, bottom: 36 };

/** Told apart with every kind of colour blindness (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

export interface Series {
  readonly name: string;
  /** Points by rising x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LinePlot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** A vertical line. */
  readonly mark?: { readonly x: number; readonly label: string };
  readonly isLogX?: boolean;
}

export interface BarPlot {
  readonly title: string;
  readonly y: string;
  readonly bars: readonly { readonly name: string; readonly value: number }[];
  /** A horizontal line. */
  readonly mark?: { readonly y: number; readonly label: string };
}

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '#000';
}

export function linePlot(plot: LinePlot): string {
  const xs = plot.series
    .flatMap(({ points }) => points.map(([x]) => x))
    .concat(plot.mark === undefined ? [] : [plot.mark.x]);
  const ys = plot.series.flatMap(({ points }) => points.map(([, y]) => y));
  const positive = xs.filter((x) => x > 0);
  const low = plot.isLogX === true ? Math.min(...positive) : 0;
  const high = Math.max(...xs, low * 1.01);
  const scaleX = (x: number): number => {
    const part =
      plot.isLogX === true ? Math.log(Math.max(x, low) / low) / Math.log(high / low) : (x - low) / (high - low || 1);
    return MARGIN.left + part * (WIDTH - MARGIN.left - MARGIN.right);
  };
  const top = Math.max(...ys, Number.EPSILON);
  const scaleY = (y: number): number => HEIGHT - MARGIN.bottom - (y / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const lines = plot.series.map(({ name, points }, index) => {
    const path = points.map(([x, y], place) => `${place === 0 ? 'M' : 'L'}${at(scaleX(x))},${at(scaleY(y))}`).join('');
    return `<path d="${path}" fill="none" stroke="${colourOf(index)}" stroke-width="2"><title>${escaped(name)}</title></path>`;
  });
  const xTicks = plot.isLogX === true ? logTicks(low, high) : ticks(high);
  const marks =
    plot.mark === undefined
      ? []
      : [
          `<line x1="${at(scaleX(plot.mark.x))}" x2="${at(scaleX(plot.mark.x))}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}" class="mark"/>`,
          text(scaleX(plot.mark.x) + 4, MARGIN.top + 10, plot.mark.label, 'start'),
        ];
  return frame(plot.title, [
    ...ticks(top).map((y) => grid(scaleY(y), shortNumber(y))),
    ...xTicks.map((x) => text(scaleX(x), HEIGHT - MARGIN.bottom + 14, shortNumber(x), 'middle')),
    text(WIDTH - MARGIN.right, HEIGHT - 6, plot.x, 'end'),
    text(MARGIN.left - 44, MARGIN.top - 8, plot.y, 'start'),
    ...marks,
    ...lines,
  ]);
}

export function barPlot(plot: BarPlot): string {
  const top = Math.max(...plot.bars.map(({ value }) => value), plot.mark?.y ?? 0, Number.EPSILON);
  const scaleY = (y: number): number => HEIGHT - MARGIN.bottom - (y / top) * (HEIGHT - MARGIN.top - MARGIN.bottom - 12);
  const step = (WIDTH - MARGIN.left - MARGIN.right) / Math.max(1, plot.bars.length);
  const bars = plot.bars.map(({ name, value }, index) => {
    const x = MARGIN.left + index * step + step * 0.2;
    const y = scaleY(value);
    return [
      `<rect x="${at(x)}" y="${at(y)}" width="${at(step * 0.6)}" height="${at(HEIGHT - MARGIN.bottom - y)}" fill="${colourOf(index)}"><title>${escaped(name)}: ${shortNumber(value)}</title></rect>`,
      text(x + step * 0.3, y - 4, shortNumber(value), 'middle'),
      text(x + step * 0.3, HEIGHT - MARGIN.bottom + 14, name, 'middle'),
    ].join('');
  });
  const marks =
    plot.mark === undefined
      ? []
      : [
          `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at(scaleY(plot.mark.y))}" y2="${at(scaleY(plot.mark.y))}" class="mark"/>`,
          text(WIDTH - MARGIN.right, MARGIN.top - 8, `- - ${plot.mark.label} ${shortNumber(plot.mark.y)}`, 'end'),
        ];
  return frame(plot.title, [
    ...ticks(top).map((y) => grid(scaleY(y), shortNumber(y))),
    text(MARGIN.left - 44, MARGIN.top - 8, plot.y, 'start'),
    ...bars,
    ...marks,
  ]);
}

export function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function frame(title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    `<text x="${WIDTH / 2}" y="12" text-anchor="middle" class="title">${escaped(title)}</text>`,
    ...parts,
    `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${HEIGHT - MARGIN.bottom}" y2="${HEIGHT - MARGIN.bottom}" class="axis"/>`,
    '</svg>',
  ].join('');
}

function grid(y: number, label: string): string {
  return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at(y)}" y2="${at(y)}" class="grid"/>${text(MARGIN.left - 6, y + 3.5, label, 'end')}`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

/** Three to six round numbers from 0 to the top. */
function ticks(top: number): number[] {
  const raw = top / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? power;
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, index) => index * step);
}

function logTicks(low: number, high: number): number[] {
  const result: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) result.push(factor * 10 ** power);
  }
  const inside = result.filter((tick) => tick >= low && tick <= high);
  return inside.length > 8 ? inside.filter((_, index) => index % 2 === 0) : inside;
}

function shortNumber(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

function at(value: number): string {
  return value.toFixed(1);
}

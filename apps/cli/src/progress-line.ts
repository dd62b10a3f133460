/** What a progress line shows at one moment. */
export interface ProgressView {
  /** Name of what is downloaded. */
  readonly label: string;
  readonly completedBytes: number;
  /** Null: nobody knows. */
  readonly totalBytes: number | null;
  /** Undefined until there is one. */
  readonly bytesPerSecond: number | undefined;
  readonly elapsedMs: number;
}

const MAX_LABEL_WIDTH = 30;
const MIN_LABEL_WIDTH = 8;
const MIN_BAR_WIDTH = 10;
const MAX_BAR_WIDTH = 60;
const GAP = 2;
/** Width of the thing that moves while the length is unknown. */
const SLIDER = '<=>';
/** Time the slider takes from one cell to the next. */
const SLIDER_STEP_MS = 100;
const WIDE =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60\u3000-\u303F]$/u;
const ZERO_WIDTH = /^(?:\p{Mn}|\p{Me}|[\u200B-\u200D]|\uFE0F)$/u;

/**
 * One line for the terminal, never wider than it: parts are left out as it gets narrower, the label first, then the bar,
 * then the rate.
 * @param columns of the terminal
 */
export function progressLine(view: ProgressView, columns: number): string {
  // A line that fills the last column makes some terminals wrap.
  const width = Math.max(1, columns - 1);
  const figures = figuresOf(view);
  const rates = ratesOf(view);
  const fixed = cellWidth(figures) + GAP + cellWidth(rates);
  const forLabel = width - fixed - 2 * GAP - (MIN_BAR_WIDTH + 2);
  const label = forLabel >= MIN_LABEL_WIDTH ? cut(printable(view.label), Math.min(MAX_LABEL_WIDTH, forLabel)) : '';
  const labelPart = label === '' ? '' : label + ' '.repeat(GAP);
  const forBar = width - fixed - cellWidth(labelPart) - GAP - 2;
  if (forBar >= MIN_BAR_WIDTH) {
    const bar = barOf(view, Math.min(MAX_BAR_WIDTH, forBar));
    return `${labelPart}${bar}${' '.repeat(GAP)}${figures}${' '.repeat(GAP)}${rates}`;
  }
  const withoutBar = `${figures}${' '.repeat(GAP)}${rates}`;
  return cellWidth(withoutBar) <= width ? withoutBar : cut(figures, width);
}

function figuresOf(view: ProgressView): string {
  if (view.totalBytes === null) return sizeText(view.completedBytes).padStart(8);
  const percent = view.totalBytes === 0 ? 100 : Math.floor((view.completedBytes / view.totalBytes) * 100);
  const percentText = `${Math.min(100, percent)}%`.padStart(4);
  return `${percentText}  ${sizeText(view.completedBytes).padStart(8)} / ${sizeText(view.totalBytes)}`;
}

function ratesOf(view: ProgressView): string {
  const rate = `${view.bytesPerSecond === undefined ? '--' : sizeText(view.bytesPerSecond)}/s`.padStart(10);
  const isDone = view.totalBytes !== null && view.completedBytes >= view.totalBytes;
  if (view.totalBytes === null || isDone) return `${rate}  ${clockText(view.elapsedMs).padStart(9)}`;
  const secondsLeft =
    view.bytesPerSecond === undefined || view.bytesPerSecond <= 0
      ? undefined
      : (view.totalBytes - view.completedBytes) / view.bytesPerSecond;
  const eta = secondsLeft === undefined || secondsLeft > 359_999 ? '--:--' : clockText(Math.ceil(secondsLeft) * 1000);
  return `${rate}  ${`ETA ${eta}`.padStart(9)}`;
}

function barOf(view: ProgressView, width: number): string {
  if (view.totalBytes === null) {
    const places = width - SLIDER.length;
    const step = Math.floor(view.elapsedMs / SLIDER_STEP_MS) % (2 * places);
    const at = step <= places ? step : 2 * places - step;
    return `[${' '.repeat(at)}${SLIDER}${' '.repeat(places - at)}]`;
  }
  const share = view.totalBytes === 0 ? 1 : Math.min(1, view.completedBytes / view.totalBytes);
  const filled = Math.floor(share * width);
  const head = filled > 0 && filled < width ? '>' : '';
  return `[${'='.repeat(filled - head.length)}${head}${' '.repeat(width - filled)}]`;
}

/** `999 B`, `1.0 KiB`, `12.3 MiB`: at most four digits. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const isExact = unit === 0 || value >= 100;
  return `${isExact ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `0:07`, `12:34`, `1:02:03`. */
export function clockText(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** A name may hold anything; nothing in it may steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}

function cellWidth(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

function cellsOf(character: string): number {
  if (ZERO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** The text in at most `width` cells, with an ellipsis in its middle when it was longer. */
function cut(text: string, width: number): string {
  if (cellWidth(text) <= width) return text;
  const characters = [...text];
  let head = '';
  while (cellWidth(head + (characters[0] ?? '')) <= Math.ceil((width - 1) / 2) && characters.length > 0) {
    head += characters.shift();
  }
  let tail = '';
  while (characters.length > 0 && cellWidth(`${head}…${characters.at(-1) ?? ''}${tail}`) <= width) {
    tail = (characters.pop() ?? '') + tail;
  }
  return `${head}…${tail}`;
}

import { FLAGS, type FlagGroup, type FlagSpec } from './flags.js';

const INDENT = 2;
/** Column at which the explanations begin. */
const HELP_COLUMN = 32;
const MIN_WIDTH = 60;
const MAX_WIDTH = 110;

const INTRODUCTION = `Usage: dfget URL [-O FILE] [flags]
       dfget -u=URL [-O FILE] [flags]
       dfget daemon [flags of the daemon]

Downloads a file through the Dragonfly daemon of this machine: from other peers, from a seed peer, or from the source. When no daemon runs, one is started; when that fails too, dfget fetches from the source itself.`;

const CONCLUSION = `Exit codes: 0 the output is complete; 1 the download failed; 2 the command line is wrong; 130 interrupted, 143 terminated.

Environment: each variable named above stands for its flag; the flag wins. DFGET_DFDAEMON is the program to start as daemon instead of the one that belongs to this dfget.`;

/**
 * The text of `--help`, grouped and wrapped.
 * @param columns width of the terminal in characters
 */
export function helpText(columns: number): string {
  const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns));
  const groups = new Map<FlagGroup, FlagSpec[]>();
  for (const flag of FLAGS) groups.set(flag.group, [...(groups.get(flag.group) ?? []), flag]);
  const sections = [...groups].map(([group, flags]) =>
    group === 'Not supported yet'
      ? `${group}:\n${wrap(flags.map(namesOf).join(', '), width, INDENT)}`
      : `${group}:\n${flags.map((flag) => flagText(flag, width)).join('\n')}`,
  );
  return `${[wrapLines(INTRODUCTION, width), ...sections, wrapLines(CONCLUSION, width)].join('\n\n')}\n`;
}

function namesOf(flag: FlagSpec): string {
  const long = [flag.name, ...(flag.aliases ?? [])].map((name) => `--${name}`);
  return [...(flag.short === undefined ? [] : [`-${flag.short}`]), ...long].join(', ');
}

function flagText(flag: FlagSpec, width: number): string {
  const left = `${' '.repeat(INDENT)}${namesOf(flag)}${flag.value === undefined ? '' : ` ${flag.value}`}`;
  const notes = [
    ...(flag.default === undefined ? [] : [`default ${flag.default}`]),
    ...(flag.env === undefined ? [] : [flag.env]),
  ];
  const explanation = wrap(`${flag.help}${notes.length === 0 ? '' : ` [${notes.join('; ')}]`}`, width, HELP_COLUMN);
  const fitsBeside = left.length <= HELP_COLUMN - INDENT;
  return fitsBeside ? left + explanation.slice(left.length) : `${left}\n${explanation}`;
}

function wrapLines(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (line.length <= width ? line : wrap(line, width, 0)))
    .join('\n');
}

/** Breaks at spaces so that no line is wider than `width`, each line indented. */
function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each) => ' '.repeat(indent) + each).join('\n');
}

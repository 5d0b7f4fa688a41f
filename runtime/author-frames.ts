import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from './package-root.js';

/** A line of an author's code in an error's stack. */
export interface AuthorFrame {
  /** Absolute path. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Name of the function; empty for a module's own code. */
  readonly name: string;
}

/** Frames kept of one error, causes followed, and characters of a message that are kept. */
const MOST_FRAMES = 10;
const MOST_CAUSES = 3;
const LONGEST_MESSAGE = 500;
/** Characters of a whole stack: it is part of a failure in the run's history. */
const LONGEST_STACK = 3_000;
/** Lines read of a stack, and the longest that is parsed. */
const MOST_LINES = 100;
const LONGEST_LINE = 1_000;

/** Folders of Millrace in its package. Pipelines of its tests and benches count as an author's. */
const OWN = new Set([
  ...['activities', 'cli', 'client', 'deploy', 'gateway', 'measure', 'media', 'pipelines', 'placement', 'protocols'],
  ...['runs', 'runtime', 'stores', 'telemetry', 'temporal', 'testing', 'workers', 'workflows'],
]);

/** The author's frames of an error, innermost first: without Node, installed packages and Millrace itself. */
export function authorFrames(error: unknown): readonly AuthorFrame[] {
  const { stack } = (error ?? {}) as { readonly stack?: unknown };
  if (typeof stack !== 'string') return [];
  return stack
    .split('\n', MOST_LINES)
    .flatMap((line) => frameOf(line) ?? [])
    .filter(({ file }) => isAuthors(file))
    .slice(0, MOST_FRAMES);
}

/** Where the author's code caused an error: in its own stack, or in that of a cause, which lies deeper. */
export function placeOf(error: unknown): AuthorFrame | undefined {
  const [deepest] = causesOf(error)
    .reverse()
    .flatMap((each) => authorFrames(each).slice(0, 1));
  return deepest;
}

/** `pipelines.ts:12:5`, relative to a folder. */
export const placeText = ({ file, line, column }: AuthorFrame, folder: string): string =>
  `${path.relative(folder, file).replaceAll(path.sep, '/')}:${line}:${column}`;

/** A stack of bounded size: the error and its causes with their author's frames, in paths relative to a folder. */
export function authorStack(error: unknown, folder: string): string {
  const lines = causesOf(error)
    .flatMap((each, i) => [
      `${i === 0 ? '' : 'caused by '}${titleOf(each)}`,
      ...authorFrames(each).map((frame) => {
        const place = placeText(frame, folder);
        return frame.name === '' ? `    at ${place}` : `    at ${frame.name} (${place})`;
      }),
    ])
    .join('\n');
  return lines.slice(0, LONGEST_STACK);
}

function causesOf(error: unknown): unknown[] {
  const all: unknown[] = [];
  for (let at = error; at !== undefined && at !== null && all.length < MOST_CAUSES && !all.includes(at); ) {
    all.push(at);
    at = (at as { readonly cause?: unknown }).cause;
  }
  return all;
}

function titleOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE - 1)}…` : text;
}

/** A line of V8's stacks: `at name (file:line:column)`, `at async name (…)` or `at file:line:column`. */
function frameOf(text: string): AuthorFrame | undefined {
  const line = text.trim();
  if (!line.startsWith('at ') || line.length > LONGEST_LINE) return undefined;
  const open = line.endsWith(')') ? line.lastIndexOf(' (') : -1;
  const [name, place] = open < 0 ? ['', line.slice(3)] : [line.slice(3, open), line.slice(open + 2, -1)];
  const [file = '', row, column] = splitPlace(place.replace(/^async /, ''));
  if (!(row > 0 && column > 0)) return undefined;
  const shown = name.replace(/^async /, '');
  try {
    return { file: file.startsWith('file:') ? fileURLToPath(file) : file, line: row, column, name: shown };
  } catch {
    return undefined;
  }
}

function splitPlace(place: string): [file: string, line: number, column: number] {
  const last = place.lastIndexOf(':');
  const before = place.lastIndexOf(':', last - 1);
  return [place.slice(0, Math.max(0, before)), Number(place.slice(before + 1, last)), Number(place.slice(last + 1))];
}

/** Whether a file is an author's: not of Millrace, nor of an installed package. */
export function isAuthors(file: string): boolean {
  if (!path.isAbsolute(file) || file.includes(`${path.sep}node_modules${path.sep}`)) return false;
  const inside = path.relative(PACKAGE_ROOT, file).split(path.sep);
  const [first = '', second = ''] = inside[0] === 'dist' ? inside.slice(1) : inside;
  return first === '..' || second === '' || !OWN.has(first);
}

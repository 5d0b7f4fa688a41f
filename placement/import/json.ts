import { messageOf } from '../../pipelines/errors.js';
import { numbered } from './lines.js';
import { type ImportCode, wrong } from './wrong.js';

/** An object of a file of JSON. */
export interface Entry {
  /** Where it is, as errors name it: `trace.jsonl:7`, or `runs.json, entry 7` of a list. */
  readonly at: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Most characters of a document on several lines, which is in memory as a whole. */
const MOST_CHARACTERS = 2 ** 28;

/**
 * The objects of a file of JSON lines, or of one document on any number of lines: an object, or a list of them. Throws `code` with the
 * line that is not JSON, or for a document of more characters than `most`.
 */
export function* entriesOf(
  lines: Iterable<string>,
  file: string,
  code: ImportCode,
  most = MOST_CHARACTERS,
): Iterable<Entry> {
  let document: { readonly first: number; readonly lines: string[] } | undefined;
  let characters = 0;
  let isFirst = true;
  for (const [line, text] of numbered(lines)) {
    if (document !== undefined) {
      document.lines.push(text);
      characters += text.length;
      if (characters > most) {
        const message = `it is one document of more than ${most} characters: write an object on each line, or split it`;
        throw wrong(file, message, code);
      }
      continue;
    }
    if (text.trim() === '') continue;
    const at = `${file}:${line}`;
    const read = parsed(text);
    if ('value' in read) {
      yield* objectsIn(read.value, at, code);
    } else if (isFirst) {
      // A document on several lines begins with a line that is not JSON by itself.
      document = { first: line, lines: [text] };
    } else throw notJson(at, read.mistake, code);
    isFirst = false;
  }
  if (document !== undefined) yield* objectsIn(documentIn(document.lines, file, code, document.first), file, code);
}

/**
 * The value of a document on these lines. Throws `code` with the line of the mistake, as far as the parser tells it.
 * @param first the number of the first line in the file
 */
export function documentIn(lines: readonly string[], file: string, code: ImportCode, first = 1): unknown {
  const text = lines.join('\n').replace(/^\ufeff/, '');
  const read = parsed(text);
  if ('value' in read) return read.value;
  const before = beforeMistake(text, read.mistake, lines[0] ?? '');
  const at = before === undefined ? file : `${file}:${first + (before.match(/\n/g)?.length ?? 0)}`;
  throw notJson(at, read.mistake, code);
}

/** The objects in a member of an object that is a list. */
export function membersOf(
  of: Readonly<Record<string, unknown>>,
  name: string,
): readonly Readonly<Record<string, unknown>>[] {
  const list = of[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Parsed = { readonly value: unknown } | { readonly mistake: string };

function parsed(text: string): Parsed {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { mistake: messageOf(error) };
  }
}

/** The text up to a mistake, which the parser tells by its position, as the end of the text, or by a few letters only. */
function beforeMistake(text: string, mistake: string, head: string): string | undefined {
  const position = /at position (\d+)/.exec(mistake)?.[1];
  if (position !== undefined) return text.slice(0, Number(position));
  if (mistake.includes('end of JSON input')) return text.trimEnd();
  const alone = parsed(head);
  return 'mistake' in alone && alone.mistake.startsWith('Unexpected token') ? '' : undefined;
}

const notJson = (at: string, mistake: string, code: ImportCode) =>
  wrong(at, `it is not JSON (${mistake.replaceAll('\n', ' ')}): correct it, or export it again`, code);

function* objectsIn(value: unknown, at: string, code: ImportCode): Iterable<Entry> {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const [i, each] of all.entries()) {
    const where = Array.isArray(value) ? `${at}, entry ${i + 1}` : at;
    if (!isObject(each)) throw wrong(where, 'it is not a JSON object: correct or remove it', code);
    yield { at: where, value: each };
  }
}

import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { parseJson, tokensOf, valueAt } from '../json-values.js';
import { nestedOf } from './nested.js';

/*
 * Templates of requests and answers, as data. Any JSON stands for itself, but for
 *  - a text that starts with "$/": the value at that JSON pointer of what the template can see, as JSON;
 *  - an object with a name that starts with "$": one of the operators below.
 * Values are placed as JSON values and never pasted into text, so that none of them can change what is around it.
 * docs/reference/servers/http.md explains every operator.
 */

export type Template = Json;

/** What a template can see, by the first name of a pointer. */
export type Scope = Readonly<Record<string, Json | undefined>>;

/** The bytes of an artifact of the stage's input, as a template asks for them. */
export interface FileSource {
  readonly pointer: string;
  /** `file`: as they are. `wav`: audio as 16-bit mono WAV. */
  readonly as: 'file' | 'wav';
  /** Of `wav`, in Hz. */
  readonly sampleRate: number;
}

export interface Rendering {
  readonly scope: Scope;
  /** The error for a value that is missing or does not fit. */
  wrong(pointer: string, problem: string): MillraceError;
  /** The bytes of a file; absent where templates have no files. */
  file?(source: FileSource): { readonly bytes: Uint8Array; readonly mime: string };
  /** What the template has made so far. */
  readonly spent: { made: number };
}

/** Of all texts and items that a template makes. What it refers to is not copied. */
const MOST_MADE = 64 * 1_024 * 1_024;

type Operator = (given: JsonObject, r: Rendering) => Json | undefined;

/** The operators with the names that may stand beside them. */
const OPERATORS: Readonly<Record<string, { readonly beside: readonly string[]; readonly run: Operator }>> = {
  /** JSON as it is, also with names and texts that start with "$". */
  $value: { beside: [], run: ({ $value }) => $value },
  /** The value at a pointer, or at the first of several that has one; a number between `least` and `most`. */
  $from: { beside: ['default', 'optional', 'least', 'most'], run: from },
  /** A list: `as` for each item of another, as `/item` and `/index`. */
  $each: { beside: ['as'], run: each },
  /** One text of several values. */
  $text: { beside: ['with'], run: text },
  /** A value as JSON in a text, and back. */
  $json: { beside: [], run: ({ $json }, r) => spend(r, JSON.stringify(needed($json as Template, r))) },
  $parse: { beside: [], run: parsed },
  /** A value by another: `{ "$case": "/body/state", "of": { "eos": "stop" }, "default": "length" }`. */
  $case: { beside: ['of', 'default'], run: chosen },
  /** Nothing: the member, item or header is left out. */
  $omit: { beside: [], run: () => undefined },
  /** A tensor as nested lists, or tensors by their names. */
  $nested: {
    beside: [],
    run: ({ $nested }, r) => nestedOf(at($nested, r), (problem) => r.wrong(String($nested), problem)),
  },
  /** A file of the stage's input. */
  $base64: { beside: ['as', 'sampleRate'], run: (given, r) => base64(given.$base64, given, r) },
  $dataUrl: {
    beside: ['as', 'sampleRate'],
    run: (given, r) => `data:${fileOf(given.$dataUrl, given, r).mime};base64,${base64(given.$dataUrl, given, r)}`,
  },
};

/** The value of a template; undefined if it leaves itself out. */
export function render(template: Template, r: Rendering): Json | undefined {
  r.spent.made++;
  if (typeof template === 'string') return template.startsWith('$/') ? at(template.slice(1), r) : template;
  if (Array.isArray(template)) {
    return template.map((each: Template) => render(each, r)).filter((each) => each !== undefined);
  }
  if (!isJsonObject(template)) return template;
  const operator = operatorOf(template);
  if (operator) return operator.run(template, r);
  const members = Object.entries(template).flatMap(([name, value]) => {
    const rendered = render(value, r);
    return rendered === undefined ? [] : [[name, rendered] as const];
  });
  return Object.fromEntries(members);
}

const operatorOf = (template: JsonObject) => {
  const name = Object.keys(template).find((each) => each.startsWith('$'));
  return name === undefined ? undefined : OPERATORS[name];
};

function at(pointer: Json | undefined, r: Rendering): Json {
  const value = valueAt(r.scope as JsonObject, String(pointer));
  if (value === undefined) throw r.wrong(String(pointer), 'is missing');
  return value;
}

function needed(template: Template, r: Rendering): Json {
  const value = render(template, r);
  if (value === undefined) throw r.wrong('', 'a template leaves out what is needed here');
  return value;
}

/** Counts what is made. Throws when it is too much. */
function spend(r: Rendering, made: string): string {
  r.spent.made += made.length;
  if (r.spent.made > MOST_MADE) {
    throw new MillraceError('BODY_TOO_LARGE', `the template makes more than ${MOST_MADE / 1_024 / 1_024} MiB`);
  }
  return made;
}

function from({ $from, default: otherwise, optional, least, most }: JsonObject, r: Rendering): Json | undefined {
  const pointers = [$from].flat() as string[];
  for (const pointer of pointers) {
    const value = valueAt(r.scope as JsonObject, pointer);
    if (value !== undefined) return least === undefined && most === undefined ? value : within(value, pointer);
  }
  if (otherwise !== undefined) return render(otherwise, r);
  if (optional === true) return undefined;
  throw r.wrong(pointers[0] ?? '', 'is missing');

  function within(value: Json, pointer: string): number {
    if (typeof value !== 'number') throw r.wrong(pointer, 'is not a number');
    return Math.min(Math.max(value, Number(least ?? value)), Number(most ?? value));
  }
}

function each({ $each, as }: JsonObject, r: Rendering): Json {
  const list = at($each, r);
  if (!Array.isArray(list)) throw r.wrong(String($each), 'is not a list');
  return list.flatMap((item: Json, index) => {
    spend(r, '');
    const rendered = render(as as Template, { ...r, scope: { ...r.scope, item, index } });
    return rendered === undefined ? [] : [rendered];
  });
}

function text({ $text, with: between = '' }: JsonObject, r: Rendering): Json {
  const parts = ($text as readonly Template[]).flatMap((part) => {
    const value = render(part, r);
    const all = value === undefined ? [] : Array.isArray(value) ? value : [value];
    if (all.some((item) => typeof item === 'object'))
      throw r.wrong('', 'a text is made of texts, numbers and booleans');
    return all.map(String);
  });
  for (const part of parts) spend(r, part);
  return parts.join(String(between));
}

function parsed({ $parse }: JsonObject, r: Rendering): Json {
  const value = at($parse, r);
  if (typeof value !== 'string') throw r.wrong(String($parse), 'is not a text');
  return parseJson(value, (problem) => r.wrong(String($parse), `has ${problem}`));
}

function chosen({ $case, of, default: otherwise }: JsonObject, r: Rendering): Json | undefined {
  const value = valueAt(r.scope as JsonObject, String($case));
  const name = typeof value === 'object' && value !== null ? undefined : String(value);
  const cases = of as JsonObject;
  if (value !== undefined && name !== undefined && Object.hasOwn(cases, name))
    return render(cases[name] as Template, r);
  return otherwise === undefined ? undefined : render(otherwise, r);
}

/** The file that a template refers to. */
export function fileOf(pointer: Json | undefined, { as = 'file', sampleRate = 16_000 }: JsonObject, r: Rendering) {
  if (!r.file) throw r.wrong(String(pointer), 'is a file, which this template has not');
  return r.file({ pointer: String(pointer), as: as as FileSource['as'], sampleRate: sampleRate as number });
}

const base64 = (pointer: Json | undefined, given: JsonObject, r: Rendering): string =>
  spend(r, Buffer.from(fileOf(pointer, given, r).bytes).toString('base64'));

/** What is wrong with a template, each with its path. */
export interface Flaw {
  readonly path: (string | number)[];
  readonly message: string;
}

const DEEPEST = 32;
const LONGEST_POINTER = 1_024;

/**
 * Checks a template before anything is sent by it.
 * @param roots the first names that its pointers may have
 */
export function flawsOf(template: Json, roots: readonly string[], path: (string | number)[] = []): Flaw[] {
  const wrong = (message: string, ...more: string[]): Flaw => ({ path: [...path, ...more], message });
  if (path.length > DEEPEST) return [wrong(`is nested more than ${DEEPEST} deep`)];
  const pointer = (value: Json | undefined, name: string): Flaw[] => {
    const problem = pointerProblem(value, roots);
    return problem === undefined ? [] : [wrong(problem, name)];
  };
  const within = (value: Json | undefined, name: string, seen = roots) =>
    value === undefined ? [wrong('is required', name)] : flawsOf(value, seen, [...path, name]);
  if (typeof template === 'string') {
    const problem = template.startsWith('$/') ? pointerProblem(template.slice(1), roots) : undefined;
    return problem === undefined ? [] : [wrong(problem)];
  }
  if (Array.isArray(template)) {
    return template.flatMap((each: Json, i) => flawsOf(each, roots, [...path, i]));
  }
  if (!isJsonObject(template)) return [];
  const name = Object.keys(template).find((each) => each.startsWith('$'));
  if (name === undefined) {
    return Object.entries(template).flatMap(([key, value]) => flawsOf(value, roots, [...path, key]));
  }
  const operator = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
  if (!operator) {
    const known = Object.keys(OPERATORS).join(', ');
    return [wrong(`is no operator (there are: ${known}); JSON as it is goes into { "$value": … }`, name)];
  }
  const unknown = Object.keys(template).filter((key) => key !== name && !operator.beside.includes(key));
  if (unknown.length > 0) return [wrong(`may not stand beside ${name}`, unknown[0] ?? '')];
  const given = template[name];
  switch (name) {
    case '$value':
    case '$omit':
      return [];
    case '$from':
      return [
        ...([given].flat() as Json[]).flatMap((each) => pointer(each, name)),
        ...['least', 'most'].flatMap((bound) => {
          const value = template[bound];
          return value === undefined || typeof value === 'number' ? [] : [wrong('must be a number', bound)];
        }),
        ...(template.default === undefined ? [] : within(template.default, 'default')),
      ];
    case '$each':
      return [...pointer(given, name), ...within(template.as, 'as', [...roots, 'item', 'index'])];
    case '$text':
      return Array.isArray(given) ? within(given, name) : [wrong('must be a list of what the text is made of', name)];
    case '$json':
      return within(given, name);
    case '$case':
      return [
        ...pointer(given, name),
        ...(isJsonObject(template.of)
          ? Object.values(template.of).flatMap((each) => within(each, 'of'))
          : [wrong('must be an object', 'of')]),
        ...(template.default === undefined ? [] : within(template.default, 'default')),
      ];
    case '$base64':
    case '$dataUrl': {
      const ofItem = typeof given === 'string' && /^\/(item|index)(\/|$)/.test(given);
      return [
        ...(ofItem ? [wrong('cannot be of an item: a file is named by its place, "/input/images/0"', name)] : []),
        ...(ofItem ? [] : pointer(given, name)),
        ...fileFlaws(template, wrong),
      ];
    }
    default:
      return pointer(given, name);
  }
}

/** What is wrong with how a file is asked for. */
export function fileFlaws({ as, sampleRate }: JsonObject, wrong: (message: string, name: string) => Flaw): Flaw[] {
  const rate = Number(sampleRate);
  return [
    ...(as === undefined || as === 'file' || as === 'wav' ? [] : [wrong('must be "file" or "wav"', 'as')]),
    ...(sampleRate === undefined || (Number.isInteger(rate) && rate >= 1_000 && rate <= 192_000)
      ? []
      : [wrong('must be 1000 to 192000 Hz', 'sampleRate')]),
  ];
}

/** Undefined if it is a pointer to something that the template can see. */
export function pointerProblem(pointer: Json | undefined, roots: readonly string[]): string | undefined {
  if (typeof pointer !== 'string' || !pointer.startsWith('/')) return 'must be a JSON pointer: "/input/text"';
  if (pointer.length > LONGEST_POINTER) return `must be at most ${LONGEST_POINTER} characters`;
  const [root = ''] = tokensOf(pointer);
  return roots.includes(root)
    ? undefined
    : `has nothing at /${root}: there is ${roots.map((each) => `/${each}`).join(', ')}`;
}

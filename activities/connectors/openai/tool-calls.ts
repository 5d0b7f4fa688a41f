import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import { longIntegersOf, lostBetween, lostInteger } from '../../../protocols/open-inference/index.js';
import { fitted } from '../json-schema.js';

/** A delta of a tool call, or the whole call. */
export interface ToolDelta {
  readonly index?: number | null;
  readonly id?: string | null;
  readonly function?: {
    readonly name?: string | null;
    /** JSON text; an object from servers that do not serialize it. */
    readonly arguments?: string | object | null;
  } | null;
}

/** A tool call as the model wrote it. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, unless it was cut off. */
  readonly arguments: string;
}

/** A tool call as a chat stage returns it. */
export type ReadToolCall = {
  readonly id: string;
  readonly name: string;
  readonly arguments: JsonObject;
  /**
   * What is wrong with the call, where invalid calls are reported; the arguments are then as the model wrote them, if
   * they can be parsed.
   */
  readonly wrong?: string;
};

/** The offered tools: name to JSON Schema of the arguments. */
export type OfferedTools = ReadonlyMap<string, JsonObject>;

/**
 * Assembles tool calls from their deltas. The first delta of a call has its name and some, all or none of its
 * arguments. Deltas of one call share an index; servers without indexes send whole calls, or index all of them 0 with
 * different ids.
 */
export class ToolCalls {
  readonly #calls: Begun[] = [];
  /** The latest call of each index. */
  readonly #latest = new Map<number, Begun>();

  get all(): readonly ToolCall[] {
    return this.#calls;
  }

  /** Throws `INVALID_OUTPUT` for more calls than a reply may have. */
  add({ index, id, function: part }: ToolDelta): void {
    const at = index ?? undefined;
    const call = this.#begun(at, id ?? '', part?.name ?? '') ?? this.#begin(at);
    call.id ||= id ?? '';
    call.name ||= part?.name ?? '';
    const text = part?.arguments ?? '';
    call.arguments += typeof text === 'string' ? text : JSON.stringify(text);
  }

  #begin(index: number | undefined): Begun {
    if (this.#calls.length === MOST_CALLS)
      throw new MillraceError('INVALID_OUTPUT', `the reply has more than ${MOST_CALLS} tool calls`);
    const call = { id: '', name: '', arguments: '' };
    this.#calls.push(call);
    if (index !== undefined) this.#latest.set(index, call);
    return call;
  }

  #begun(index: number | undefined, id: string, name: string): Begun | undefined {
    if (index === undefined) return name === '' ? this.#calls.at(-1) : undefined;
    const same = this.#latest.get(index);
    return same && id !== '' && same.id !== '' && id !== same.id ? undefined : same;
  }
}

type Begun = { id: string; name: string; arguments: string };

/** Most calls of one reply: far more than a person or a model asks for at once. */
const MOST_CALLS = 1_000;

/**
 * The calls with their arguments parsed, checked against the tools' schemas and completed with their defaults. An error
 * is recorded in the call, to be reported to the model: a tool that is not offered, or arguments that were cut off, are
 * no JSON object, do not fit, or have an integer that a number does not hold: the tool would get another one.
 */
export function checkToolCalls(
  calls: readonly ToolCall[],
  offered: OfferedTools,
  finish: string | undefined,
): ReadToolCall[] {
  return calls.map(({ id, name, arguments: text }) => {
    const read = readArguments(text, finish);
    const call = checked(id, name, read, offered, finish);
    const lost = call.wrong === undefined && read ? lostIn(read, text) : undefined;
    return lost ? { ...call, wrong: `the arguments do not fit: ${lost}` } : call;
  });
}

/** The first integer of a call's arguments that a number does not hold, and what to write instead. */
function lostIn(read: JsonObject, text: string): string | undefined {
  const lost = text.trim() === '' ? undefined : lostInteger(read, text);
  return lost && whyLost(lost);
}

const whyLost = (lost: readonly string[]): string =>
  `${lost.join('.')} is an integer of more digits than a number holds (above 2^53); write it as a text`;

/** The same for calls found in the reply's text. */
export const checkReadCalls = (calls: readonly ReadToolCall[], offered: OfferedTools): ReadToolCall[] =>
  calls.map(({ id, name, arguments: read, wrong }) => ({
    ...(wrong !== undefined && { wrong }),
    ...checked(id, name, read, offered, undefined),
  }));

/** Calls found in the reply's text, where wrong ones are not reported. Throws `INVALID_OUTPUT` as `readToolCalls` does. */
export function expectExact(calls: readonly ReadToolCall[]): readonly ReadToolCall[] {
  const bad = calls.find(({ wrong }) => wrong !== undefined);
  if (bad) throw new MillraceError('INVALID_OUTPUT', `the tool call "${bad.name}": ${bad.wrong}`);
  return calls;
}

function checked(
  id: string,
  name: string,
  read: JsonObject | undefined,
  offered: OfferedTools,
  finish: string | undefined,
): ReadToolCall {
  const call = { id: id || newId(), name, arguments: read ?? {} };
  const schema = offered.get(name);
  if (!schema) {
    const known = [...offered.keys()].join(', ');
    return { ...call, wrong: `there is no tool "${name}"; there are ${known}` };
  }
  if (!read) return { ...call, wrong: `the arguments ${whyUnread(finish)}` };
  const fit = fitted(read, schema);
  if ('data' in fit) return { ...call, arguments: fit.data as JsonObject };
  return { ...call, wrong: `the arguments do not fit: ${fit.summary}` };
}

const whyUnread = (finish: string | undefined): string =>
  finish === 'length' ? 'were cut off at the reply’s token limit' : 'are not a JSON object';

/**
 * The calls with their arguments parsed. Throws `INVALID_OUTPUT` for a tool that is not offered, and for arguments that are no
 * JSON object or have an integer that a number does not hold; `LENGTH` for truncated ones. Arguments are not checked against the
 * tool's schema: the called tool does that.
 */
export function readToolCalls(
  calls: readonly ToolCall[],
  offered: Pick<OfferedTools, 'has'>,
  finish: string | undefined,
): ReadToolCall[] {
  return calls.map(({ id, name, arguments: text }) => {
    if (!offered.has(name)) {
      throw new MillraceError('INVALID_OUTPUT', `the model calls the tool "${name}", which is not offered`);
    }
    const read = readArguments(text, finish);
    if (!read) {
      const code = finish === 'length' ? 'LENGTH' : 'INVALID_OUTPUT';
      throw new MillraceError(code, `the arguments of the tool call "${name}" ${whyUnread(finish)}`);
    }
    const lost = lostIn(read, text);
    if (lost) throw new MillraceError('INVALID_OUTPUT', `the arguments of the tool call "${name}" do not fit: ${lost}`);
    return { id: id || newId(), name, arguments: read };
  });
}

function readArguments(text: string, finish: string | undefined): JsonObject | undefined {
  // Some servers send an empty text for a tool without parameters.
  if (text.trim() === '') return finish === 'length' ? undefined : {};
  const read = parsed(text);
  return isJsonObject(read) ? read : undefined;
}

/**
 * Tool calls in the reply's text, as models write them when the server does not know their template: one JSON object
 * with `name` and `arguments` (or `parameters`), or a list of such, optionally in a code block. Undefined unless the
 * whole text has this form and names only offered tools: any other JSON is an answer. A call whose arguments have an integer
 * that a number does not hold is `wrong`.
 */
export function toolCallsInText(text: string, offered: Pick<OfferedTools, 'has'>): ReadToolCall[] | undefined {
  const fenced = withoutFence(text);
  if (!/^\s*[{[]/.test(fenced)) return undefined;
  const read = parsed(fenced);
  const items: readonly unknown[] = Array.isArray(read) ? read : [read];
  const exact = read === undefined ? undefined : longIntegersOf(fenced);
  const calls = items.map((item, i) => callIn(item, Array.isArray(exact) ? exact[i] : exact, offered));
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

const FENCE = '```';

/** The content of a code block if the whole text is one, of JSON or of no language; else the text. */
function withoutFence(text: string): string {
  const block = text.trim();
  const lineEnd = block.indexOf('\n');
  if (lineEnd < 0 || !block.startsWith(FENCE) || !block.endsWith(FENCE)) return text;
  const language = block.slice(FENCE.length, lineEnd).trim();
  return language === '' || language === 'json' ? block.slice(lineEnd + 1, -FENCE.length) : text;
}

/** Members allowed beside the name in a tool call. */
const CALL_FIELDS: ReadonlySet<string> = new Set(['id', 'type', 'name', 'arguments', 'parameters']);

/** @param exact the item with its long integers as texts; undefined if the reply has none */
function callIn(item: unknown, exact: unknown, offered: Pick<OfferedTools, 'has'>): ReadToolCall | undefined {
  if (!isJsonObject(item) || !Object.keys(item).every((key) => CALL_FIELDS.has(key))) return undefined;
  const { id, name } = item;
  const given = item.arguments ?? item.parameters;
  const read = typeof given === 'string' ? parsed(given) : given;
  if (typeof name !== 'string' || !offered.has(name) || !isJsonObject(read)) return undefined;
  const written = isJsonObject(exact) ? (exact.arguments ?? exact.parameters) : read;
  const lost = typeof given === 'string' ? lostInteger(read, given) : lostBetween(read, written);
  return {
    id: typeof id === 'string' && id !== '' ? id : newId(),
    name,
    arguments: read,
    ...(lost && { wrong: `the arguments do not fit: ${whyLost(lost)}` }),
  };
}

/** Some servers send calls without an id; a conversation needs one to assign results to calls. */
const newId = (): string => `call_${randomUUID()}`;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { ERRORS, type ErrorCode } from '../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { Alternative, Binding, Graph, StagePlan, Step } from '../../pipelines/plan/index.js';
import type { RandomRun } from './random-plans/plan-of.js';
import {
  callName,
  type Script,
  scriptedFunction,
  scriptedOutput,
  scriptedSpeech,
  scriptedText,
} from './random-plans/script.js';

/**
 * What a plan of scripted stages means, told without the interpreter: one step after the other, recursively. Steps that
 * the interpreter runs at once are independent, so the order changes nothing but which of several failures comes first.
 */
export interface Expected {
  /** The output, or the codes of which one ends the run. */
  readonly end: Value;
  /** Calls of each stage and alternative, by `callName`: fewer than `most` where a failure or a race cuts them off. */
  readonly calls: ReadonlyMap<string, Calls>;
  /** By stage id, for stages that nothing cuts off. */
  readonly ends: ReadonlyMap<string, { readonly started: number; readonly done: number }>;
}
type Value = { readonly ok: Json } | { readonly codes: ReadonlySet<string> };
interface Calls {
  readonly least: number;
  readonly most: number;
}

export function evaluate({ plan, input, outputs }: RandomRun): Expected {
  const book = new Book();
  const wanted = outputs === undefined ? plan : narrowed(plan, outputs);
  const end = graph(wanted, new Map([['input', input]]), { book, prefix: '' });
  if ('codes' in end) book.cutOff();
  return { end, calls: book.calls, ends: book.ends };
}

/** The steps that a value needs, and `always`, and what these need, in their order. */
function chain(stages: readonly Step[], value: Json, always: readonly Step[]): Step[] {
  const found: Step[] = [];
  for (const step of [...stages].reverse()) {
    if (always.includes(step) || reads([value, found as unknown as Json], step.id)) found.unshift(step);
  }
  return found;
}

/** Only the output's wanted fields and the steps that they need, and what no field of the whole output needs. */
function narrowed({ stages, output }: Graph, outputs: readonly string[]): Graph {
  const kept = Object.fromEntries(outputs.map((field) => [field, (output as JsonObject)[field] as Json]));
  const useful = chain(stages, output, []);
  const needed = chain(
    stages,
    kept,
    stages.filter((step) => !useful.includes(step)),
  );
  return { stages: needed, output: kept };
}

/** Whether anything in `json` refers to the step: plans are read as text here, without knowing their parts. */
const reads = (json: unknown, id: string): boolean => {
  const text = JSON.stringify(json);
  return text.includes(`"$ref":"${id}"`) || text.includes(`"$ref":"${id}.`);
};

type Names = ReadonlyMap<string, Json>;
interface Place {
  readonly book: Book;
  readonly prefix: string;
}

function graph({ stages, output }: Graph, around: Names, place: Place): Value {
  const names = new Map(around);
  const failed = new Map<string, ReadonlySet<string>>();
  const waits = new Set<string>();
  for (const one of stages) {
    if ([...failed.keys(), ...waits].some((id) => reads(one, id))) {
      // A voice that reads an LLM that fails may have failed before it.
      const sources = streamsOf(one);
      const others = [...failed.keys(), ...waits].some((id) => !sources.includes(id) && reads(one, id));
      if (!others && sources.some((id) => failed.has(id))) failed.set(one.id, mayFail(one as StagePlan, place));
      waits.add(one.id);
      continue;
    }
    const value = step(one, names, place);
    if ('ok' in value) names.set(one.id, value.ok);
    else failed.set(one.id, value.codes);
  }
  return failed.size > 0 ? union([...failed.values()]) : { ok: resolve(output, names) };
}

const streamsOf = (one: Step): readonly string[] =>
  'policy' in one ? Object.values(one.streams ?? {}).map(({ from }) => from) : [];

/** How a stage may end before what it reads has failed; its calls are counted as ones that may be made. */
function mayFail(one: StagePlan, { book, prefix }: Place): ReadonlySet<string> {
  const ways = [one, ...(one.fallback ?? [])].filter((way) => way !== 'skip');
  for (const { model } of ways) book.call(callName(`${prefix}${one.id}`, model), one.policy.retry.attempts, 0);
  return new Set(ways.flatMap((way) => (way.with as Script).code ?? []));
}

function step(one: Step, names: Names, place: Place): Value {
  if ('policy' in one) return stage(one, names, place);
  const { id } = one;
  switch (one.kind) {
    case 'when': {
      const taken = resolve(one.condition, names) === true ? one.body : one.otherwise;
      return taken ? graph(taken, names, place) : { ok: null };
    }
    case 'each': {
      const list = resolve(one.over, names) ?? [];
      if (!Array.isArray(list)) return failure('INVALID_INPUT');
      const values = (list as readonly Json[]).map((item, index) => {
        const book = new Book();
        const inner = new Map([...names, [`${id}/item`, item], [`${id}/index`, index]]);
        const value = graph(one.body, inner, { book, prefix: `${place.prefix}${id}[${index}]/` });
        if ('codes' in value && one.onFailure !== 'fail') book.cutOff();
        place.book.add(book);
        return value;
      });
      const failures = values.flatMap((value) => ('codes' in value ? [value.codes] : []));
      if (one.onFailure === 'fail' && failures.length > 0) return union(failures);
      const kept = one.onFailure === 'drop' ? values.filter((value) => 'ok' in value) : values;
      return { ok: kept.map((value) => ('ok' in value ? value.ok : null)) };
    }
    case 'repeat': {
      let state = resolve(one.start, names);
      for (let round = 1; round <= one.atMost; round++) {
        const inner = new Map([...names, [`${id}/state`, state], [`${id}/round`, round]]);
        const value = graph(one.body, inner, { ...place, prefix: `${place.prefix}${id}[${round}]/` });
        if ('codes' in value) return value;
        state = value.ok;
        if (resolve(one.until, new Map([...names, [`${id}/state`, state]])) === true) return { ok: state };
      }
      return one.onLimit === 'accept' ? { ok: state } : failure('LIMIT_REACHED');
    }
    case 'race': {
      const values = Object.entries(one.contenders).map(([winner, contender]) => {
        const book = new Book();
        const value = graph(contender, names, { ...place, book });
        if ('codes' in value) book.cutOff();
        place.book.add(book);
        return { winner, value };
      });
      // At most one succeeds, which is what makes the winner certain.
      for (const { winner, value } of values) if ('ok' in value) return { ok: { winner, value: value.ok } };
      return union(values.map(({ value }) => (value as { codes: ReadonlySet<string> }).codes));
    }
    case 'pipeline':
      return graph(one.plan, new Map([[`${id}/input`, resolve(one.input, names)]]), place);
  }
}

function stage(one: StagePlan, names: Names, { book, prefix }: Place): Value {
  const input = resolve(one.input, names) as JsonObject;
  const ways: readonly (Alternative | 'skip')[] = [one, ...(one.fallback ?? [])];
  let code = '';
  for (const way of ways) {
    // A request that is wrong is wrong everywhere.
    if (way === 'skip' || (code === 'INVALID_INPUT' && ways.at(-1) === 'skip')) {
      book.end(one.id, false);
      return { ok: null };
    }
    if (code === 'INVALID_INPUT') break;
    if (way.kind === 'synthesize' && scriptedSpeech(input) === undefined) {
      code = 'INVALID_INPUT';
      book.call(callName(`${prefix}${one.id}`, way.model), 0);
      continue;
    }
    const { failures = 0, never, ...script } = way.with as Script;
    const { attempts, on } = one.policy.retry;
    const retried =
      script.code !== undefined && ERRORS[script.code].retry !== 'never' && (on?.includes(script.code) ?? true);
    const most = retried ? attempts : 1;
    const fails = failures >= most;
    const calls = fails ? most : failures + 1;
    // The sentence that fails may not be there.
    book.call(callName(`${prefix}${one.id}`, way.model), calls, one.streams && !fails ? 1 : calls);
    if (never) return failure('never' as ErrorCode);
    if (!fails) {
      book.end(one.id, true);
      if (script.yields || script.takes) return { ok: scriptedFunction(script, input) };
      if (way.kind === 'chat') return { ok: { text: scriptedText(script, input) } };
      return { ok: way.kind === 'synthesize' ? (scriptedSpeech(input) ?? null) : scriptedOutput(script, input) };
    }
    code = script.code ?? 'INTERNAL';
  }
  book.end(one.id, false);
  return failure(code as ErrorCode);
}

const failure = (code: ErrorCode): Value => ({ codes: new Set([code]) });
const union = (sets: readonly ReadonlySet<string>[]): Value => ({ codes: new Set(sets.flatMap((set) => [...set])) });

/** What has been called, and how it ended. */
class Book {
  readonly calls = new Map<string, Calls>();
  readonly ends = new Map<string, { started: number; done: number }>();
  readonly #cut = new Set<string>();

  call(name: string, count: number, atLeast = count): void {
    const { least, most } = this.calls.get(name) ?? { least: 0, most: 0 };
    this.calls.set(name, { least: least + atLeast, most: most + count });
  }

  end(stage: string, done: boolean): void {
    const before = this.ends.get(stage) ?? { started: 0, done: 0 };
    this.ends.set(stage, { started: before.started + 1, done: before.done + (done ? 1 : 0) });
  }

  /** A failure or a race may end anything in it before its end. */
  cutOff(): void {
    for (const [name, { most }] of this.calls) this.calls.set(name, { least: 0, most });
    for (const stage of this.ends.keys()) this.#cut.add(stage);
    this.ends.clear();
  }

  add(other: Book): void {
    for (const [name, calls] of other.calls) this.calls.set(name, calls);
    for (const [stage, { started, done }] of other.ends) {
      const before = this.ends.get(stage) ?? { started: 0, done: 0 };
      this.ends.set(stage, { started: before.started + started, done: before.done + done });
    }
    for (const stage of other.#cut) this.#cut.add(stage);
    for (const stage of this.#cut) this.ends.delete(stage);
  }
}

/** A binding's value. */
const resolve = (bound: Binding, names: Names): Json => givenBy(bound, names, false) ?? null;

/** Undefined for what is absent. What an operator gives is so only with its mark `absent`, or that of one around it. */
function givenBy(bound: Binding, names: Names, marked: boolean): Json | undefined {
  if (Array.isArray(bound)) return (bound as readonly Json[]).map((item) => resolve(item, names));
  if (!isJsonObject(bound)) return bound;
  if ('$ref' in bound) return lookUp(bound.$ref as string, names);
  if ('$const' in bound) return bound.$const as Json;
  if ('$text' in bound) return (bound.$text as Json[]).map((part) => text(resolve(part, names))).join('');
  if ('$op' in bound) {
    const isMarked = marked || bound.absent === true;
    const all = (bound.of as Json[]).map((part) => givenBy(part, names, isMarked));
    return isMarked && isAbsent(bound.$op, all) ? undefined : operate(bound.$op as string, all.map(orNull));
  }
  const entries = Object.entries(bound).flatMap(([key, value]) => {
    const field = givenBy(value, names, false);
    return field === undefined ? [] : [[key, field] as const];
  });
  return Object.fromEntries(entries);
}

const orNull = (value: Json | undefined): Json => value ?? null;

/** Whether an operator gives nothing: an object lacks the field, or no value is there and the last is absent. */
function isAbsent(name: Json | undefined, all: readonly (Json | undefined)[]): boolean {
  const [first, key] = all;
  if (name === 'get') return first === undefined || (isJsonObject(first) && !Object.hasOwn(first, String(key)));
  return name === 'either' && all.at(-1) === undefined && all.every((value) => orNull(value) === null);
}

/** Undefined where an object does not have the field, null where there is no object. */
function lookUp(path: string, names: Names): Json | undefined {
  const [source = '', ...fields] = path.split('.');
  return fields.reduce<Json | undefined>(
    (value, field) => (value === undefined ? undefined : isJsonObject(value) ? value[field] : null),
    names.get(source) ?? null,
  );
}

function operate(name: string, values: readonly Json[]): Json {
  const [a = null, b = null] = values;
  const same = (x: Json, y: Json) => canonicalJson(x) === canonicalJson(y);
  const ordered = (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string');
  switch (name) {
    case 'eq':
      return same(a, b);
    case 'ne':
      return !same(a, b);
    case 'lt':
      return ordered && a < b;
    case 'lte':
      return ordered && a <= b;
    case 'gt':
      return ordered && a > b;
    case 'gte':
      return ordered && a >= b;
    case 'and':
      return a === true && b === true;
    case 'or':
      return a === true || b === true;
    case 'not':
      return a !== true;
    case 'has':
      return a !== null;
    case 'contains':
      if (typeof a === 'string') return typeof b === 'string' && a.includes(b);
      return Array.isArray(a) && (a as readonly Json[]).some((item) => same(item, b));
    case 'size':
      return typeof a === 'string' || Array.isArray(a) ? a.length : 0;
    case 'either':
      return a ?? b;
    case 'get':
      return isJsonObject(a) && Object.hasOwn(a, String(b)) ? orNull(a[String(b)]) : null;
    case 'at':
      return Array.isArray(a) && typeof b === 'number' ? ((a as readonly Json[]).at(b) ?? null) : null;
    case 'sentences':
      return text(a).match(/\S.*?[.!?](?=\s|$)/g) ?? [];
    case 'entries':
      return Array.isArray(a) ? a : [];
    case 'chunks':
      return isJsonObject(a) && Array.isArray(a.chunks) ? a.chunks : [];
    case 'join': {
      const items = Array.isArray(a) ? (a as readonly Json[]).filter((item) => item !== null) : [];
      return items.map(text).join(text(b));
    }
    default:
      throw new Error(`the reference does not know the operator "${name}"`);
  }
}

const text = (value: Json): string => (value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));

import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { apply, asText, OPERATORS } from './expression.js';

/**
 * Where a value comes from, as plain JSON:
 * - `{ $ref: 'input.speech' }`       a field of the run's input or of a step's value (`<step>.<field>...`)
 * - `{ $text: ['Hello ', b] }`       the parts concatenated as text
 * - `{ $op: 'gte', of: [b, 0.5] }`   an operator of the expression language
 *   With `absent: true`, which `pipeline()` gives to a field of a stage's input that may be left out but not be null, it may give nothing, not null
 * - `{ $const: value }`              a literal value, whatever its keys
 * - any other JSON                   itself, with bindings inside it resolved
 */
export type Binding = Json;

/** Values by source: `input`, completed steps, and what a step defines for its inner graph. */
export interface Scope {
  get(source: string): Json | undefined;
}

/** The steps (and `input`) that a binding reads, without duplicates, in order of appearance. */
export const sourcesOf = (binding: Binding): string[] => [
  ...new Set(refsOf(binding).map((path) => path.split('.', 1)[0] as string)),
];

/** The paths that a binding reads, in order of appearance. */
export function refsOf(binding: Binding): string[] {
  const found: string[] = [];
  visit(binding, (path) => found.push(path));
  return found;
}

function visit(binding: Binding, onRef: (path: string) => void): void {
  if (Array.isArray(binding)) for (const item of binding) visit(item, onRef);
  if (!isJsonObject(binding)) return;
  if (typeof binding.$ref === 'string') onRef(binding.$ref);
  else if (!('$const' in binding)) for (const value of Object.values(binding)) visit(value, onRef);
}

/** The first operator in a binding that this release does not know; undefined if there is none. */
export function unknownOperator(binding: Binding): string | undefined {
  if (!Array.isArray(binding)) {
    if (!isJsonObject(binding) || '$const' in binding) return undefined;
    if (typeof binding.$op === 'string' && !OPERATORS.has(binding.$op)) return binding.$op;
  }
  for (const part of Object.values(binding)) {
    const found = unknownOperator(part as Json);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Evaluates a binding. */
export const resolve = (binding: Binding, scope: Scope): Json => found(binding, scope) ?? null;

/**
 * Undefined for what is absent; as a field of an object it stays so, and schemas with optional fields accept the value.
 *
 * @param keeps whether it is part of an operator with the mark `absent`
 */
function found(binding: Binding, scope: Scope, keeps = false): Json | undefined {
  if (Array.isArray(binding)) return binding.map((item) => resolve(item, scope));
  if (!isJsonObject(binding)) return binding;
  if (typeof binding.$ref === 'string') return lookUp(binding.$ref, scope);
  if ('$const' in binding) return binding.$const as Json;
  if (Array.isArray(binding.$text)) return binding.$text.map((part) => asText(resolve(part, scope))).join('');
  if (typeof binding.$op === 'string' && Array.isArray(binding.of)) {
    const own = keeps || binding.absent === true;
    const of = (binding.of as readonly Binding[]).map((part) => found(part, scope, own));
    return (own ? applied : appliedToAll)(binding.$op, of);
  }
  const resolved: Record<string, Json> = {};
  for (const [key, value] of Object.entries(binding)) {
    const field = found(value as Binding, scope);
    if (field !== undefined) resolved[key] = field;
  }
  return resolved satisfies JsonObject;
}

const appliedToAll = (name: string, of: readonly (Json | undefined)[]): Json =>
  apply(
    name,
    of.map((each) => each ?? null),
  );

/**
 * The value of an operator with the mark `absent`. A field that its object lacks is absent, and so is the first of several values if none is there
 * and the last one is absent.
 */
function applied(name: string, of: readonly (Json | undefined)[]): Json | undefined {
  const [first, key] = of;
  if (name === 'get' && typeof key === 'string') return fieldOf(first, key);
  const value = appliedToAll(name, of);
  const isAbsent = name === 'either' && value === null && of.length > 1 && of.at(-1) === undefined;
  return isAbsent ? undefined : value;
}

/** A binding of nothing, as an argument of an operator with the mark `absent`. */
const ABSENT: Binding = { $op: 'get', of: [{ $const: {} }, 'absent'], absent: true };

const NULL: Binding = { $const: null };

type Held = (source: string) => boolean;

/**
 * The binding with everything evaluated but what reads a held source: `resolve` does the rest where those are known, with the same
 * result as if it had done all.
 */
export const resolvePartly = (binding: Binding, scope: Scope, held: Held): Binding =>
  partly(binding, scope, held) ?? NULL;

/** Undefined for what is absent; `keeps` as of `found`. */
function partly(binding: Binding, scope: Scope, held: Held, keeps = false): Binding | undefined {
  if (!sourcesOf(binding).some(held)) {
    const value = found(binding, scope, keeps);
    return value === undefined ? undefined : { $const: value };
  }
  const part = (inner: Binding) => resolvePartly(inner, scope, held);
  if (Array.isArray(binding)) return binding.map(part);
  if (!isJsonObject(binding) || typeof binding.$ref === 'string') return binding;
  if (Array.isArray(binding.$text)) return { $text: binding.$text.map(part) };
  if (typeof binding.$op === 'string' && Array.isArray(binding.of)) {
    const marked = binding.absent === true;
    const own = keeps || marked;
    const of = (binding.of as readonly Binding[]).map(
      (inner) => partly(inner, scope, held, own) ?? (own ? ABSENT : NULL),
    );
    return marked ? { $op: binding.$op, of, absent: true } : { $op: binding.$op, of };
  }
  const rest: Record<string, Json> = {};
  for (const [key, value] of Object.entries(binding)) {
    const field = partly(value as Binding, scope, held);
    if (field !== undefined) rest[key] = field;
  }
  return rest;
}

/**
 * Operators whose value is made of all the text that they are given. The value of `either` is one of its alternatives, that of any other one a
 * truth, a number, or a part of what it is given.
 */
const OF_ALL_TEXT: ReadonlySet<string> = new Set(['join', 'sentences', 'tokens']);

/**
 * The binding with each occurrence of `hidden` replaced by null. A text, or an operator of `OF_ALL_TEXT`, that has one in it is not evaluated
 * then: it becomes data with its parts, since its value without `hidden` would not show where in a text that stood. Any other operator but
 * `either` keeps `hidden`: its value is what the reader of the binding sees. Evaluated, it is therefore about as large as the binding's own
 * value at most, plus a separator of `join`.
 *
 * @param hidden the value of this binding is not null
 */
export function mask(binding: Binding, hidden: Binding): Binding {
  if (isSame(unmarked(binding), unmarked(hidden))) return null;
  if (Array.isArray(binding)) return binding.map((item) => mask(item, hidden));
  if (!isJsonObject(binding)) return binding;
  const { $op, of } = binding;
  if (typeof $op === 'string' && Array.isArray(of)) return maskedOperator(binding, $op, of, hidden);
  const masked = Object.fromEntries(Object.entries(binding).map(([key, value]) => [key, mask(value, hidden)]));
  return Array.isArray(masked.$text) && !isSame(masked, binding) ? { text: masked.$text } : masked;
}

function maskedOperator(binding: Binding, name: string, of: readonly Binding[], hidden: Binding): Binding {
  if (name === 'either') return maskedEither(binding, of, hidden);
  if (!OF_ALL_TEXT.has(name)) return binding;
  // The parts of a list of short texts may be larger than the text: what is only joined by `hidden` stays a text.
  const masked = of.map((part, i) => (name === 'join' && i > 0 ? part : mask(part, hidden)));
  return isSame(masked, of) ? binding : { op: name, of: masked };
}

/**
 * The first alternative that is masked is never null, so nothing behind it is read. The value of those before it stands alone, not beside all of
 * them, and what is masked stands there only where that value is null: the one that is read may be a short text, and the others large.
 */
function maskedEither(binding: Binding, of: readonly Binding[], hidden: Binding): Binding {
  const parts = alternativesOf(of, hidden);
  const masked = parts.map((part) => mask(part, hidden));
  const end = masked.findIndex((part, i) => !isSame(part, parts[i] as Binding));
  const last = masked[end];
  if (last === undefined) return binding;
  if (end === 0) return { op: 'either', of: [last] };
  const before: Binding = { $op: 'either', of: parts.slice(0, end) };
  const hasBefore: Binding = { $text: [{ $op: 'has', of: [before] }] };
  return { op: 'either', of: [before, last === null ? null : { $op: 'get', of: [{ false: last }, hasBefore] }] };
}

/** With those of an `either` among them in its place. */
const alternativesOf = (of: readonly Binding[], hidden: Binding): readonly Binding[] =>
  of.flatMap((part) =>
    isJsonObject(part) && part.$op === 'either' && Array.isArray(part.of) && !isSame(part, hidden)
      ? alternativesOf(part.of, hidden)
      : [part],
  );

const isSame = (a: Binding, b: Binding): boolean => JSON.stringify(a) === JSON.stringify(b);

function lookUp(path: string, scope: Scope): Json | undefined {
  const [source = '', ...fields] = path.split('.');
  return fields.reduce<Json | undefined>(fieldOf, scope.get(source) ?? null);
}

/** Undefined for a field that its object lacks, or that nothing has; a field of null is null. */
const fieldOf = (value: Json | undefined, key: string): Json | undefined =>
  isJsonObject(value) ? own(value, key) : value === undefined ? undefined : null;

const own = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** Without the mark `absent`, which depends on the field that is bound: the same value elsewhere, as the key of a cache, has none. */
function unmarked(binding: Binding): Binding {
  if (!isJsonObject(binding) || typeof binding.$op !== 'string') return binding;
  const { absent: _, ...rest } = binding;
  return rest;
}

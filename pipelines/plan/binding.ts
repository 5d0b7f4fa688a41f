import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { apply, asText } from './expression.js';

/**
 * Where a value comes from, as plain JSON:
 * - `{ $ref: 'input.speech' }`       a field of the run's input or of a step's value (`<step>.<field>...`)
 * - `{ $text: ['Hello ', b] }`       the parts concatenated as text
 * - `{ $op: 'gte', of: [b, 0.5] }`   an operator of the expression language
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

/** Evaluates a binding. */
export function resolve(binding: Binding, scope: Scope): Json {
  if (Array.isArray(binding)) return binding.map((item) => resolve(item, scope));
  if (!isJsonObject(binding)) return binding;
  if (typeof binding.$ref === 'string') return lookUp(binding.$ref, scope) ?? null;
  if ('$const' in binding) return binding.$const as Json;
  if (Array.isArray(binding.$text)) return binding.$text.map((part) => asText(resolve(part, scope))).join('');
  if (typeof binding.$op === 'string' && Array.isArray(binding.of)) {
    return apply(
      binding.$op,
      (binding.of as readonly Binding[]).map((part) => resolve(part, scope)),
    );
  }
  const resolved: Record<string, Json> = {};
  for (const [key, value] of Object.entries(binding)) {
    // An absent optional field stays absent, so that schemas with optional fields accept the value.
    const found =
      isJsonObject(value) && typeof value.$ref === 'string' ? lookUp(value.$ref, scope) : resolve(value, scope);
    if (found !== undefined) resolved[key] = found;
  }
  return resolved satisfies JsonObject;
}

/**
 * The binding with everything evaluated but what reads a held source: `resolve` does the rest where those are known, with the same
 * result as if it had done all.
 */
export function resolvePartly(binding: Binding, scope: Scope, held: (source: string) => boolean): Binding {
  if (!sourcesOf(binding).some(held)) return { $const: resolve(binding, scope) };
  const partly = (part: Binding) => resolvePartly(part, scope, held);
  if (Array.isArray(binding)) return binding.map(partly);
  if (!isJsonObject(binding) || typeof binding.$ref === 'string') return binding;
  if (Array.isArray(binding.$text)) return { $text: binding.$text.map(partly) };
  if (typeof binding.$op === 'string' && Array.isArray(binding.of))
    return { $op: binding.$op, of: (binding.of as readonly Binding[]).map(partly) };
  const rest: Record<string, Json> = {};
  for (const [key, value] of Object.entries(binding)) {
    const absent =
      isJsonObject(value) &&
      typeof value.$ref === 'string' &&
      !sourcesOf(value).some(held) &&
      lookUp(value.$ref, scope) === undefined;
    if (!absent) rest[key] = partly(value as Binding);
  }
  return rest;
}

/**
 * The binding with each occurrence of `hidden` replaced by null. A text or an operator that has one in it is not evaluated then: it becomes
 * data with its parts. Its value without `hidden` would not show where in a text that stood, or what it was compared with.
 */
export function mask(binding: Binding, hidden: Binding): Binding {
  if (JSON.stringify(binding) === JSON.stringify(hidden)) return null;
  if (Array.isArray(binding)) return binding.map((item) => mask(item, hidden));
  if (!isJsonObject(binding)) return binding;
  const masked = Object.fromEntries(Object.entries(binding).map(([key, value]) => [key, mask(value, hidden)]));
  if (JSON.stringify(masked) === JSON.stringify(binding)) return masked;
  if (Array.isArray(masked.$text)) return { text: masked.$text };
  return typeof masked.$op === 'string' && Array.isArray(masked.of) ? { op: masked.$op, of: masked.of } : masked;
}

/** Undefined for a field that its object lacks; a field of null is null. */
function lookUp(path: string, scope: Scope): Json | undefined {
  const [source = '', ...fields] = path.split('.');
  let value: Json | undefined = scope.get(source) ?? null;
  for (const field of fields) value = isJsonObject(value) ? own(value, field) : value === undefined ? undefined : null;
  return value;
}

const own = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

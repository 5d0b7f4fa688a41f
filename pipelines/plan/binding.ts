import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { apply, asText } from './expression.js';

/**
 * Where a value comes from, as plain JSON:
 * - `{ $ref: 'input.speech' }`       a field of the run's input or of a step's value (`<step>.<field>...`)
 * - `{ $text: ['Hello ', b] }`       the parts joined as text
 * - `{ $op: 'gte', of: [b, 0.5] }`   an operator of the expression language
 * - `{ $const: value }`              a value taken as it is, whatever keys it has
 * - any other JSON                   itself, with bindings inside it resolved
 */
export type Binding = Json;

/** Each source's value: `input`, steps that have ended, and what a step defines for the graph in it. */
export interface Scope {
  get(source: string): Json | undefined;
}

/** The steps (and `input`) that a binding reads, each once, in order of appearance. */
export function sourcesOf(binding: Binding): string[] {
  const found = new Set<string>();
  visit(binding, (path) => found.add(path.split('.', 1)[0] as string));
  return [...found];
}

function visit(binding: Binding, onRef: (path: string) => void): void {
  if (Array.isArray(binding)) for (const item of binding) visit(item, onRef);
  if (!isJsonObject(binding)) return;
  if (typeof binding.$ref === 'string') onRef(binding.$ref);
  else if (!('$const' in binding)) for (const value of Object.values(binding)) visit(value, onRef);
}

/** The value of a binding. */
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
    // An optional field that is absent stays absent, so that a schema with an optional field takes it.
    const found =
      isJsonObject(value) && typeof value.$ref === 'string' ? lookUp(value.$ref, scope) : resolve(value, scope);
    if (found !== undefined) resolved[key] = found;
  }
  return resolved satisfies JsonObject;
}

/** The binding with `hidden` replaced by null wherever it stands in it. */
export function mask(binding: Binding, hidden: Binding): Binding {
  if (JSON.stringify(binding) === JSON.stringify(hidden)) return null;
  if (Array.isArray(binding)) return binding.map((item) => mask(item, hidden));
  if (!isJsonObject(binding)) return binding;
  return Object.fromEntries(Object.entries(binding).map(([key, value]) => [key, mask(value, hidden)]));
}

/** Undefined for a field that its object does not have; a field of what is null is null. */
function lookUp(path: string, scope: Scope): Json | undefined {
  const [source = '', ...fields] = path.split('.');
  let value: Json | undefined = scope.get(source) ?? null;
  for (const field of fields) value = isJsonObject(value) ? own(value, field) : value === undefined ? undefined : null;
  return value;
}

const own = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

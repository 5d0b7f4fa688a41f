import { isJsonObject, type Json, type JsonObject } from '../json.js';

/**
 * Where a value comes from, as plain JSON:
 * - `{ $ref: 'input.speech' }`   a field of the run's input or of a stage's output (`<stage>.<field>...`)
 * - `{ $text: ['Hello ', b] }`   the parts joined as text
 * - `{ $const: value }`          a value taken as it is, whatever keys it has
 * - any other JSON               itself, with bindings inside it resolved
 */
export type Binding = Json;

/** The stages (and `input`) that a binding reads, each once, in order of appearance. */
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

/** The value of a binding, given each source's value (`input` and the stages that have run). */
export function resolve(binding: Binding, scope: ReadonlyMap<string, Json>): Json {
  if (Array.isArray(binding)) return binding.map((item) => resolve(item, scope));
  if (!isJsonObject(binding)) return binding;
  if (typeof binding.$ref === 'string') return lookUp(binding.$ref, scope);
  if ('$const' in binding) return binding.$const as Json;
  if (Array.isArray(binding.$text)) return binding.$text.map((part) => asText(resolve(part, scope))).join('');
  const resolved: Record<string, Json> = {};
  for (const [key, value] of Object.entries(binding)) resolved[key] = resolve(value, scope);
  return resolved satisfies JsonObject;
}

/** The binding with `hidden` replaced by null wherever it stands in it. */
export function mask(binding: Binding, hidden: Binding): Binding {
  if (JSON.stringify(binding) === JSON.stringify(hidden)) return null;
  if (Array.isArray(binding)) return binding.map((item) => mask(item, hidden));
  if (!isJsonObject(binding)) return binding;
  return Object.fromEntries(Object.entries(binding).map(([key, value]) => [key, mask(value, hidden)]));
}

/** A field that is absent (an optional input) reads as null. */
function lookUp(path: string, scope: ReadonlyMap<string, Json>): Json {
  const [source = '', ...fields] = path.split('.');
  let value: Json = scope.get(source) ?? null;
  for (const field of fields) value = isJsonObject(value) ? (value[field] ?? null) : null;
  return value;
}

const asText = (value: Json): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);

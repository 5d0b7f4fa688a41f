import { MillraceError } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { MOST_PAYLOAD_BYTES } from '../pipelines/json-limits.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { RunContext } from '../pipelines/run/index.js';

/** The share of its parent above which a field is named as the cause. */
const MOST_OF_IT = 0.5;

/**
 * Rejects a run whose input and plan exceed Temporal's limit, before anything is started. Media do not count: they are in the artifact
 * store. Throws `INPUT_TOO_LARGE` naming the largest field.
 */
export function refuseTooLarge(input: JsonObject, context: RunContext, notes: JsonObject = {}): void {
  const ofContext = bytesOfContext(context) + bytesOf(notes);
  const ofInput = bytesOf(input);
  if (ofInput + ofContext <= MOST_PAYLOAD_BYTES) return;
  const { field, bytes } = largestField(input);
  const message = `has ${bytes} bytes as JSON`;
  const limit = `the input has ${ofInput} bytes as JSON and the plan ${ofContext}; a run may start with ${MOST_PAYLOAD_BYTES}`;
  throw new MillraceError('INPUT_TOO_LARGE', `${limit}; the largest field is ${field}, which ${message}`, {
    fields: [{ field, message }],
  });
}

/**
 * The context with those of its decisions, the latest first, for which there is room beside the rest: the run that it resumes has begun without them.
 */
export function withFittingDecisions(input: JsonObject, context: RunContext, notes: JsonObject = {}): RunContext {
  const { decisions, ...rest } = context;
  if (decisions === undefined) return context;
  const others = bytesOf(input) + bytesOfContext(rest) + bytesOf(notes) + bytesOf({ decisions: {} });
  let room = MOST_PAYLOAD_BYTES - others;
  const fitting = Object.entries(decisions)
    .reverse()
    .filter(([path, decision]) => {
      // The braces around it are as long as what comes before it, and the comma behind it.
      const bytes = bytesOf({ [path]: decision } as unknown as Json);
      if (bytes > room) return false;
      room -= bytes;
      return true;
    })
    .reverse();
  return { ...rest, ...(fitting.length > 0 && { decisions: Object.fromEntries(fitting) }) };
}

function bytesOfContext({ plan, ...rest }: RunContext): number {
  return bytesOfPlan(plan) + bytesOf(rest as unknown as Json);
}

/** Computed once per plan. */
function bytesOfPlan(plan: Plan): number {
  const known = planBytes.get(plan);
  if (known !== undefined) return known;
  const bytes = bytesOf(plan as unknown as Json);
  planBytes.set(plan, bytes);
  return bytes;
}

const planBytes = new WeakMap<Plan, number>();

const bytesOf = (value: Json): number => Buffer.byteLength(JSON.stringify(value));

/** The path of the value that makes an input large: descends as long as one part dominates. */
function largestField(input: JsonObject): { readonly field: string; readonly bytes: number } {
  const sizes = new Map<object, number>();
  let found = { field: 'body', bytes: sizeOf(input, sizes) };
  for (let value: Json = input; ; ) {
    const none: Part = { field: '', value: null, bytes: 0 };
    const largest: Part = partsOf(value, found.field, sizes).reduce((a, b) => (b.bytes > a.bytes ? b : a), none);
    // The first step is always taken, so that a field of the pipeline is named.
    if (largest.field === '' || (found.field !== 'body' && largest.bytes < found.bytes * MOST_OF_IT)) return found;
    found = { field: largest.field, bytes: largest.bytes };
    value = largest.value;
  }
}

interface Part {
  readonly field: string;
  readonly value: Json;
  readonly bytes: number;
}

function partsOf(value: Json, path: string, sizes: Map<object, number>): Part[] {
  const part = (field: string, inner: Json): Part => ({ field, value: inner, bytes: sizeOf(inner, sizes) });
  if (Array.isArray(value)) return value.map((inner: Json, i) => part(`${path}[${i}]`, inner));
  if (!isJsonObject(value)) return [];
  const prefix = path === 'body' ? '' : `${path}.`;
  return Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [part(`${prefix}${key}`, inner)]));
}

/** Bytes of a value as JSON. Those of lists and objects are noted: each part is read once for its parents, however many they are. */
function sizeOf(value: Json, sizes: Map<object, number>): number {
  if (typeof value !== 'object' || value === null) return bytesOf(value ?? null);
  const known = sizes.get(value);
  if (known !== undefined) return known;
  const size = sizeOfParts(value, sizes);
  sizes.set(value, size);
  return size;
}

/** Each part is followed by a comma but for the last one, and all are within brackets. */
function sizeOfParts(value: readonly Json[] | JsonObject, sizes: Map<object, number>): number {
  let bytes = 1;
  if (Array.isArray(value)) for (const item of value as readonly Json[]) bytes += sizeOf(item, sizes) + 1;
  else
    for (const [key, item] of Object.entries(value as JsonObject))
      if (item !== undefined) bytes += bytesOf(key) + 1 + sizeOf(item, sizes) + 1;
  return Math.max(2, bytes);
}

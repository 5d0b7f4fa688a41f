import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { type Located, locate, type Path, readLocated } from '../source/index.js';
import { type Profile, type ProfileFile, profileSchema } from './schema.js';
import { withSpeculation } from './speculative.js';

/** A profile and its location, so that later errors can name the line. */
export type ReadProfile = Located<Profile>;

/** Parses one profile of a JSON file. Throws `INVALID_PROFILE` naming every wrong line and the correction. */
export function readProfile(text: string, file: string): ReadProfile {
  return checked(readLocated(text, file, profileSchema, 'INVALID_PROFILE'));
}

function checked(source: ReadProfile): ReadProfile {
  const mistakes: FieldError[] = [];
  const wrong = (path: Path, message: string) => mistakes.push({ field: source.at(path), message });
  const profile = source.value;
  if (profile.batching === 'dynamic') checkDynamic(profile, wrong);
  else checkDecode(profile, wrong);
  if (profile.batching === 'continuous' && !profile.decode.some(({ batch }) => batch === 1)) {
    wrong(['decode'], 'a row for batch 1 is missing: measure one sequence alone');
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_PROFILE', mistakes);
  return profile.batching === 'continuous' ? { ...source, value: withSpeculation(profile) } : source;
}

type Wrong = (path: Path, message: string) => void;

function checkDynamic({ latency, size }: Profile & { batching: 'dynamic' }, wrong: Wrong): void {
  checkRows(
    latency.map((row) => `batch ${row.batch}${row.size === undefined ? '' : `, size ${row.size}`}`),
    'latency',
    wrong,
  );
  const timed = latency.map(({ batch, size: of = 0, p50Ms }) => ({ batch, of, p50Ms }));
  checkRising(
    timed.map(({ batch, of, p50Ms }) => ({ amount: batch, like: `${of}`, p50Ms })),
    'latency',
    'batch',
    wrong,
  );
  checkRising(
    timed.map(({ batch, of, p50Ms }) => ({ amount: of, like: `${batch}`, p50Ms })),
    'latency',
    'size',
    wrong,
  );
  checkMeans(latency, 'latency', wrong);
  const sizes = (of: number) => latency.flatMap((row) => (row.batch === of ? [row.size] : [])).sort();
  const batches = [...new Set(latency.map(({ batch }) => batch))];
  if (!batches.includes(1)) wrong(['latency'], 'rows for batch 1 are missing: measure one request alone');
  for (const [i, row] of latency.entries()) {
    if (size && row.size === undefined) wrong(['latency', i], `give its "size", in ${size.variable}`);
    if (!size && row.size !== undefined) wrong(['latency', i, 'size'], 'the profile has no "size.variable": add it');
  }
  for (const batch of batches) {
    if (String(sizes(batch)) !== String(sizes(batches[0] ?? batch))) {
      const first = latency.findIndex((row) => row.batch === batch);
      wrong(['latency', first], `batch ${batch} has other sizes than batch ${batches[0]}: measure the same ones`);
    }
  }
}

/** A larger call that takes less than this share of a smaller one’s time has another unit; less than that is the noise of a busy machine. */
const LEAST_SHARE = 0.05;

interface Timed {
  /** What the time should not fall with, and what is otherwise equal. */
  readonly amount: number;
  readonly like: string;
  readonly p50Ms: number;
}

function checkRising(rows: readonly Timed[], field: string, what: string, wrong: Wrong): void {
  const slowest = new Map<string, Timed>();
  for (const [i, row] of [...rows.entries()].sort(([, a], [, b]) => a.amount - b.amount)) {
    const before = slowest.get(row.like);
    if (before && before.amount < row.amount && row.p50Ms < LEAST_SHARE * before.p50Ms) {
      const message = `${what} ${row.amount} takes ${row.p50Ms} ms, and ${what} ${before.amount} ${before.p50Ms} ms: give both in milliseconds, or measure them again`;
      wrong([field, i, 'p50Ms'], message);
    }
    if (row.p50Ms > (before?.p50Ms ?? 0)) slowest.set(row.like, row);
  }
}

/** The mean of times is at least half of their median: half of them are no shorter than that. */
function checkMeans(
  rows: readonly { readonly p50Ms: number; readonly meanMs?: number | undefined }[],
  field: string,
  wrong: Wrong,
): void {
  for (const [i, { p50Ms, meanMs = p50Ms }] of rows.entries()) {
    if (meanMs < p50Ms / 2)
      wrong([field, i, 'meanMs'], `${meanMs} ms is less than half of the median, ${p50Ms} ms: correct it`);
  }
}

/** A step at this share of the time at a shorter context is more than noise. */
const FALLS = 0.8;

function checkDecode({ decode, prefill }: Profile & { batching: 'continuous' }, wrong: Wrong): void {
  checkRows(
    decode.map(({ batch, tokens }) => `batch ${batch}${tokens === undefined ? '' : `, ${tokens} tokens`}`),
    'decode',
    wrong,
  );
  checkRows(
    prefill.map(({ tokens }) => `${tokens} tokens`),
    'prefill',
    wrong,
  );
  checkRising(
    prefill.map(({ tokens, p50Ms }) => ({ amount: tokens, like: '', p50Ms })),
    'prefill',
    'a prompt of',
    wrong,
  );
  checkRising(
    decode.map(({ batch, tokens, p50Ms }) => ({ amount: batch, like: `${tokens}`, p50Ms })),
    'decode',
    'batch',
    wrong,
  );
  checkMeans(prefill, 'prefill', wrong);
  checkMeans(decode, 'decode', wrong);
  const named = decode.some(({ tokens }) => tokens !== undefined);
  for (const [i, { batch, tokens, p50Ms }] of decode.entries()) {
    if (tokens === undefined) {
      if (named) wrong(['decode', i], 'give its "tokens" in the cache of a sequence, as the other rows do');
      continue;
    }
    const slower = decode.find((row) => row.batch === batch && (row.tokens ?? 0) < tokens && p50Ms < FALLS * row.p50Ms);
    if (slower) {
      const message = `a step of ${batch} with ${tokens} tokens each is faster than one with ${slower.tokens}: measure both again`;
      wrong(['decode', i, 'p50Ms'], message);
    }
  }
}

function checkRows(keys: readonly string[], field: string, wrong: Wrong): void {
  const known = new Set<string>();
  for (const [i, key] of keys.entries()) {
    if (known.has(key)) wrong([field, i], `a second row for ${key}: keep one`);
    known.add(key);
  }
}

/**
 * The profiles of a folder. Throws `INVALID_PROFILE` if there are none, or if two describe the same model, stage,
 * variant and device kind.
 */
export function readProfiles(
  files: readonly { readonly file: string; readonly text: string }[],
): readonly ReadProfile[] {
  if (files.length === 0) {
    const message = 'the folder has no *.json: profile a pipeline first';
    throw invalidFields('INVALID_PROFILE', [{ field: 'profiles', message }]);
  }
  return allOf(
    files.flatMap(profilesOf).map(
      ({ file, text }) =>
        () =>
          readProfile(text, file),
    ),
  );
}

/** Checks profiles that are made of another file as those of a folder. Throws `INVALID_PROFILE`. */
export function checkProfiles(profiles: readonly ProfileFile[], file: string): void {
  const nameOf = ({ model, variant = 'default', deviceKind }: ProfileFile) =>
    `${file}, ${model} ${variant} on ${deviceKind}`;
  allOf(profiles.map((profile) => () => checked(locate(profile, nameOf(profile), profileSchema, 'INVALID_PROFILE'))));
}

/** Throws `INVALID_PROFILE` with the mistakes of all profiles, or if two describe the same. */
function allOf(readers: readonly (() => ReadProfile)[]): readonly ReadProfile[] {
  const read: ReadProfile[] = [];
  const mistakes: FieldError[] = [];
  for (const reader of readers) {
    try {
      read.push(reader());
    } catch (error) {
      mistakes.push(...fieldsOf(error));
    }
  }
  const seen = new Map<string, ReadProfile>();
  for (const profile of read) {
    const { model, stage, variant, deviceKind } = profile.value;
    const key = JSON.stringify([model, stage, variant, deviceKind]);
    const before = seen.get(key);
    if (before) {
      const message = `${before.file} describes the same: ${model}, ${variant}, ${deviceKind}; remove one or name another variant`;
      mistakes.push({ field: profile.at(['variant']), message });
    }
    seen.set(key, profile);
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_PROFILE', mistakes);
  return read;
}

/** The profiles of a file: one, or a list of them, each named by its place. */
function profilesOf(source: { readonly file: string; readonly text: string }) {
  if (!source.text.trimStart().startsWith('[')) return [source];
  try {
    const all: unknown = JSON.parse(source.text);
    if (Array.isArray(all)) {
      return all.map((each, i) => ({ file: `${source.file}[${i}]`, text: JSON.stringify(each, null, 2) }));
    }
  } catch {
    // Reported with its line when it is read.
  }
  return [source];
}

function fieldsOf(error: unknown): readonly FieldError[] {
  const { fields } = (error as { details?: { fields?: readonly FieldError[] } }).details ?? {};
  if (fields === undefined) throw error;
  return fields;
}

/** Devices per replica. */
export const devicesPerReplica = ({ parallel }: Profile): number => parallel.tensor * parallel.pipeline;

/** Most concurrent requests of a replica: the largest measured batch. */
export const largestBatch = (profile: Profile): number =>
  Math.max(...(profile.batching === 'dynamic' ? profile.latency : profile.decode).map(({ batch }) => batch));

/**
 * Bytes on each of a replica's devices with `batch` requests; 0 if the profile states no memory. `tokens`: of a sequence
 * of an LLM; absent: the typical ones.
 */
export function memoryPerDevice(profile: Profile, batch: number, tokens?: number): number {
  const { weights, perRequest } = wholeMemory(profile, tokens);
  return Math.ceil((weights + batch * perRequest) / devicesPerReplica(profile));
}

function wholeMemory(profile: Profile, tokens?: number): { readonly weights: number; readonly perRequest: number } {
  if (profile.memory === undefined) return { weights: 0, perRequest: 0 };
  if (profile.batching === 'dynamic') return profile.memory;
  const { weights, perToken } = profile.memory;
  const { typicalIn = 0, typicalOut = 0 } = profile.size;
  return { weights, perRequest: perToken * (tokens ?? typicalIn + typicalOut) };
}

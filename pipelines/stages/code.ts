import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { checkJsonValues } from '../definition/json-values.js';
import type { OfKind } from '../definition/refused.js';
import type { JsonObject } from '../json.js';
import { streamedInputs } from '../stream.js';
import type { CodeFunction, CodeVersion, NamedCode, StageKind, StageUse, StreamFunction } from './kind.js';
import { TRAITS } from './traits.js';
import { itemsOf, type Yielded, yieldedOf } from './yielded.js';

/**
 * Your own TypeScript as a stage. The function stays in the worker; the plan holds its name and version, which together
 * must be unique among the worker's functions. It may run again after a crash, so it must be idempotent.
 *
 * ```ts
 * const shout = code('shout', { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
 *   ({ text }) => ({ text: text.toUpperCase() }));
 * ```
 */
export const code = <I, O>(
  name: string,
  schemas: { input: z.ZodType<I>; output: z.ZodType<O> } & CodeVersion,
  run: CodeFunction<NoInfer<I>, NoInfer<O>>,
): StageUse<I, O> & OfKind<'code'> => {
  const { input, output } = schemas ?? {};
  checkJsonValues(input, `${name}.input`, 'input');
  checkJsonValues(output, `${name}.output`, 'output');
  if (typeof run !== 'function') throw invalid(`${name}.run`, 'must be a function of the stage’s input');
  const { version: codeVersion, compatible } = versionOf(name, schemas);
  return {
    kind: 'code',
    model: name,
    with: takes(input),
    ...(codeVersion !== undefined && { codeVersion }),
    ...(compatible && { compatible }),
    input,
    output,
    run,
  };
};

/**
 * Your own TypeScript as a stage that yields: each entry is committed before the function continues, and other stages can read it at
 * once. After a retry, `resumeFrom` says what is committed, and the function yields what follows. A function that splits or joins what it
 * reads from a stream must not use `resumeFrom`; see `StreamContext`.
 *
 * ```ts
 * const lines = codeStream('lines', { input: z.object({ text: z.string() }), entry: z.string() },
 *   async function* ({ text }, { resumeFrom }) {
 *     for (const line of text.split('\n').slice(resumeFrom?.count ?? 0)) yield line;
 *   });
 * ```
 */
export const codeStream = <I, T>(
  name: string,
  schemas: { input: z.ZodType<I>; entry: z.ZodType<T> } & CodeVersion,
  run: StreamFunction<NoInfer<I>, NoInfer<T>>,
): StageUse<I, Yielded<T>> & OfKind<'code'> => {
  const { entry, ...others } = schemas ?? {};
  checkJsonValues(entry, `${name}.entry`, 'output');
  const use = code<I, Yielded<T>>(name, { ...others, output: yieldedOf(entry) }, run as never);
  return { ...use, with: { ...use.with, yields: true }, entry };
};

/** The fields that a function reads as streams, for the plan. */
const takes = (input: z.ZodType): JsonObject => {
  const fields = [...streamedInputs(input).keys()];
  return fields.length === 0 ? {} : { takes: fields };
};

export const codeKind: StageKind = {
  input: z.looseObject({}),
  output: z.looseObject({}),
  ...TRAITS.code,
};

/** The version becomes part of a task queue's name. */
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const VERSION_RULE = 'letters, digits, ".", "_" and "-", a letter or digit first, 63 at most';

export const isVersion = (version: unknown): version is string => typeof version === 'string' && VERSION.test(version);

/** Validates the author's version options. Throws `INVALID_PIPELINE` naming the function and the option. */
export function versionOf(name: string, { version, compatible }: CodeVersion): CodeVersion {
  if (version !== undefined && !isVersion(version)) {
    throw invalid(`${name}.version`, `must be a text of ${VERSION_RULE}, not ${JSON.stringify(version)}`);
  }
  const listed = Array.isArray(compatible) && compatible.length > 0 && compatible.every(isVersion);
  if (compatible !== undefined && compatible !== true && !listed) {
    throw invalid(`${name}.compatible`, `must be true or a list of versions: each ${VERSION_RULE}`);
  }
  return { ...(version !== undefined && { version }), ...(compatible !== undefined && { compatible }) };
}

/** Versioned name of a function, for display and as a map key: `total@2`, or `total` without a version. */
export const codeName = (name: string, version: string | undefined): string =>
  version === undefined ? name : `${name}@${version}`;

/** The function of a `code` stage; undefined for other kinds. */
export function codeOf(use: StageUse<never, never>): NamedCode | undefined {
  const { model, input, output, run, entry, codeVersion: version, compatible } = use;
  if (run === undefined) return undefined;
  const versioned = { ...(version !== undefined && { version }), ...(compatible && { compatible }) };
  // What is derived of the output is no part of what the function gives.
  const given = entry ? { entry, output: itemsOf(entry) } : { output };
  return { name: model, ...versioned, input, ...given, run: run as NamedCode['run'] };
}

/** Functions by versioned name. */
export const codeMap = (functions: readonly NamedCode[]): ReadonlyMap<string, NamedCode> =>
  new Map(functions.map((each) => [codeName(each.name, each.version), each]));

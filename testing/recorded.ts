import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import type { Output, ScriptedCall } from './scripts.js';
import { TestError } from './test-error.js';

/** Makes the real call of a stage, e.g. by a pipeline of a running stack, or by a backend of a connector. */
export type RealCall = (input: JsonObject, call: ScriptedCall) => Promise<Output>;

/** An answer in a file, with the call that it answers. */
interface Recorded {
  readonly kind: string;
  readonly model: string;
  readonly with: JsonObject;
  readonly input: JsonObject;
  readonly output: Output;
}

/**
 * A script whose answers are real ones, kept in a JSON file. A call is identified by its kind, model, options and
 * input; a call that the file does not have is an error, or with `record` is made by `real` and added to the file.
 *
 * ```ts
 * stages: { answer: recorded('test/answers.json', ask, { record: process.env.RECORD === '1' }) }
 * ```
 */
export function recorded(
  file: string,
  real: RealCall,
  { record = false }: { readonly record?: boolean } = {},
): (input: JsonObject, call: ScriptedCall) => Promise<Output> {
  return async (input, call) => {
    const { kind, model, with: options, path } = call;
    const about = { kind, model, with: options, input };
    const id = jsonHash(about).slice(0, ID_LENGTH);
    const known = read(file)[id];
    if (known) return known.output;
    if (!record) {
      throw new TestError(
        `${file} has no answer to this call of "${path}" (${id}); record it once, with \`record: true\` and its servers`,
      );
    }
    const output = await real(input, call);
    // Read again: other calls may have been recorded meanwhile.
    const all = { ...read(file), [id]: { ...about, output } };
    const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(file, `${JSON.stringify(sorted, null, 2)}\n`);
    return output;
  };
}

const ID_LENGTH = 16;

function read(file: string): Readonly<Record<string, Recorded>> {
  if (!existsSync(file)) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Reported below.
  }
  if (isJsonObject(value)) return value as unknown as Record<string, Recorded>;
  throw new TestError(`${file} is not a file of recorded answers: delete it and record it again`);
}

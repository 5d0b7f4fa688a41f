import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt } from '../../../activities/stage/stage-runner.js';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { jsonHash } from '../../../pipelines/plan/hash.js';
import type { StageCall, StageOutcome } from '../../../pipelines/run/index.js';

/** What a scripted stage does; it stands in the stage's options. */
export type Script = {
  /** Its output is a pure function of this and its input. */
  readonly salt: number;
  /** Calls that fail before one succeeds, and with which code. */
  readonly failures?: number;
  readonly code?: ErrorCode;
  /** How long a call takes, in milliseconds. */
  readonly ms?: number;
  /** A call lasts until it is cancelled. */
  readonly never?: true;
};

/** A scripted stage's output. */
export function scriptedOutput({ salt }: Pick<Script, 'salt'>, input: JsonObject): JsonObject {
  const digits = Number.parseInt(jsonHash([salt, input]).slice(0, 6), 16);
  const list = Array.from({ length: digits % 4 }, (_, i) => (digits >> (i + 2)) % 10);
  return { n: digits % 10, list, text: `t${digits % 5}`, ok: digits % 2 === 0 };
}

/** The name under which calls of a stage, or of one of its alternatives, are counted. */
export const callName = (path: string, model: string): string => `${path} ${model}`;

/** Carries out scripts, as a worker's stage runner carries out stages, and counts calls for each run. */
export class ScriptedRunner {
  readonly #runs = new Map<string, Map<string, number>>();

  callsOf(run: string): ReadonlyMap<string, number> {
    return this.#runs.get(run) ?? new Map();
  }

  async run(input: JsonObject, call: StageCall, { attempt, run, signal }: Attempt): Promise<StageOutcome> {
    const calls = this.#runs.get(run) ?? new Map<string, number>();
    this.#runs.set(run, calls);
    const name = callName(call.path ?? call.stage, call.model);
    const count = (calls.get(name) ?? 0) + 1;
    calls.set(name, count);
    if (count !== attempt) throw new MillraceError('INTERNAL', `call ${count} of ${name} is attempt ${attempt}`);
    const { failures = 0, code = 'INTERNAL', ms, never, salt } = call.with as Script;
    if (never) await sleep(600_000, undefined, { signal });
    if (ms !== undefined) await sleep(ms, undefined, { signal });
    if (count <= failures) throw new MillraceError(code, `failure ${count} of ${name}`);
    const output = scriptedOutput({ salt }, input);
    return { output, endpoint: 'script', device: '', attempt, cache: 'off', queueMs: 0, runMs: ms ?? 0 };
  }
}

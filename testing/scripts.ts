import { type ErrorCode, type ErrorDetails, isErrorCode, MillraceError } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import type { TokenUsage } from '../pipelines/run/index.js';
import { TestError } from './test-error.js';

/** A call that a script answers. */
export interface ScriptedCall {
  /** The stage's id. */
  readonly stage: string;
  /** Position in the run: `chunks[3]/transcribe`, `answer/turn-2`. */
  readonly path: string;
  readonly kind: string;
  readonly model: string;
  /** The stage's options. */
  readonly with: JsonObject;
  /** From 1. */
  readonly attempt: number;
  readonly tenant: string;
  readonly idempotencyKey: string;
  /** Aborts when the attempt ends early: a timeout, a lost race. */
  readonly signal: AbortSignal;
  /** Streams a part of the answer: text, or a number of audio samples. For stages that a pool serves. */
  emit(chunk: string | number): void;
  /** Takes this long on the test's clock, which is no real time. Rejects when the attempt ends early. */
  sleep(duration: string | number): Promise<void>;
}

/** The output of a call; of a tool, its result. */
export type Output = Readonly<Record<string, unknown>> | string | number | boolean | null;
export type ScriptFunction = (input: JsonObject, call: ScriptedCall) => Answer | Promise<Answer>;
export type Answer = Output | Failure | Used | Hang;

/** One answer for every call, a function of the input, or a list with one of these for each call in order. */
export type Script = Answer | ScriptFunction | readonly (Answer | ScriptFunction)[];

/** A call that fails. */
export class Failure {
  constructor(readonly error: MillraceError) {}
}

/** An output with the resources that the call used. */
export class Used {
  constructor(
    readonly output: Output,
    readonly usage: TokenUsage,
  ) {}
}

/** A call that never ends by itself. */
export class Hang {}

/**
 * A call that fails with a code of the error table: `failure('BACKEND_OVERLOADED', { retryAfterMs: 2_000 })`. Whether it
 * is tried again is decided by the code and the stage's policy, as in a real run. A `BACKEND_UNAVAILABLE` with
 * `unsent: true` is a server that is away: the stage waits for it and uses no attempt.
 */
export function failure(code: ErrorCode, details: ErrorDetails & { readonly message?: string } = {}): Failure {
  if (!isErrorCode(code)) throw new TestError(`failure(): "${String(code)}" is not a code of the error table`);
  const { message = 'scripted failure', ...others } = details;
  return new Failure(new MillraceError(code, message, others));
}

/** An output with the tokens that the call used; agents charge them against their budget. */
export const used = (usage: TokenUsage, output: Output): Used => new Used(output, usage);

/** A call that does not end before its attempt times out. */
export const hang = (): Hang => new Hang();

/**
 * A turn in which an agent's model calls tools: `toolCalls(['get_weather', { city: 'Lisbon' }])`. Several calls of one
 * turn run in parallel.
 */
export const toolCalls = (...calls: readonly (readonly [tool: string, given: JsonObject])[]): Output => ({
  text: '',
  finish: 'tools',
  toolCalls: calls.map(([name, given], i) => ({ id: `call-${i + 1}`, name, arguments: given })),
});

/** The answers of one stage, model or tool, taken in the order of its calls. */
export class Answers {
  readonly #script: Script;
  readonly #name: string;
  #next = 0;

  constructor(name: string, script: Script) {
    this.#name = name;
    this.#script = script;
  }

  /** Throws a `TestError` if a list has no more answers. */
  next(): Answer | ScriptFunction {
    if (!isList(this.#script)) return this.#script;
    const answer = this.#script[this.#next];
    this.#next += 1;
    if (answer !== undefined) return answer;
    const count = this.#script.length;
    throw new TestError(
      `the script of ${this.#name} has ${count} answer${count === 1 ? '' : 's'}, and call ${this.#next} came; ` +
        'add an answer, or give one answer or a function in place of the list, for every call',
    );
  }
}

const isList = (script: Script): script is readonly (Answer | ScriptFunction)[] => Array.isArray(script);

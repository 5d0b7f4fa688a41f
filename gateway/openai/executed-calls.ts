import type { JsonObject } from '../../pipelines/json.js';

/** A call that the run has executed, in OpenAI's form: the arguments are JSON, the output is text. */
export interface ExecutedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  readonly status: 'completed' | 'failed';
  /** The output as it was returned to the model. */
  readonly output: string | null;
  /** Why the call was not executed, or failed. */
  readonly error: string | null;
}

/** More calls than an agent makes. */
const OF_A_FIELD = 10_000;

/**
 * The id of a call, known before the output is.
 * @param field position of the output's field that lists it among those of executed calls
 * @param number position in that list
 */
export const executedId = (run: string, field: number, number: number): string =>
  `exec_${run}_${field * OF_A_FIELD + number}`;

/** The call of an agent's `toolCalls`. */
export function executedCallOf(
  id: string,
  { name, arguments: given, end, result, code, message }: JsonObject,
): ExecutedCall {
  const done = end === 'done';
  const text = typeof result === 'string' ? result : JSON.stringify(result ?? null);
  return {
    id,
    name: String(name),
    arguments: JSON.stringify(given ?? {}),
    status: done ? 'completed' : 'failed',
    output: done ? text : null,
    error: done ? null : [code, message].filter((part) => part !== undefined).join(': ') || String(end),
  };
}

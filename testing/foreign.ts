import { fitted } from '../activities/connectors/json-schema.js';
import type { Served } from '../activities/stage/serve-stage.js';
import { keepable } from '../activities/stage/stage-output.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import type { JsonObject } from '../pipelines/json.js';
import type { StageCall, TokenUsage } from '../pipelines/run/index.js';
import { TestError } from './test-error.js';

/** What a script gives. */
export interface Answered {
  readonly output: JsonObject;
  readonly usage?: TokenUsage;
}

/**
 * A stage that another worker of Temporal serves: input and output are checked by the schemas in the plan, as around
 * the real call.
 */
export async function serveForeign(
  input: JsonObject,
  call: StageCall,
  signal: AbortSignal,
  answer: (input: JsonObject) => Promise<Answered>,
): Promise<Served> {
  const given = checked(input, call, 'input', 'INVALID_INPUT');
  const { output, usage } = await answer(given).catch((error: unknown) => {
    throw signal.aborted ? error : failureOf(error);
  });
  return {
    output: keepable(checked(output, call, 'output', 'INVALID_OUTPUT'), call.stage),
    endpoint: 'script',
    device: 'script',
    ...(usage && { usage }),
  };
}

/**
 * What another worker has thrown is tried again by Temporal, unless the worker says that it is final. A code of the error table is kept, as
 * in a run.
 */
function failureOf(error: unknown): unknown {
  if (error instanceof TestError) return error;
  const own = error instanceof MillraceError ? error : undefined;
  if (own && own.code !== 'ACTIVITY_FAILED') return own;
  return new MillraceError('ACTIVITY_FAILED', messageOf(error), { ...own?.details, elsewhere: true }, { cause: error });
}

function checked(
  value: JsonObject,
  { with: options, stage }: StageCall,
  of: 'input' | 'output',
  code: 'INVALID_INPUT' | 'INVALID_OUTPUT',
): JsonObject {
  const fit = fitted(value, options[of] as JsonObject);
  if ('fields' in fit) throw invalidFields(code, fit.fields, { stage });
  return fit.data as JsonObject;
}

import { fitted } from '../activities/connectors/json-schema.js';
import type { Served } from '../activities/stage/serve-stage.js';
import { keepable } from '../activities/stage/stage-output.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import type { JsonObject } from '../pipelines/json.js';
import type { StageCall, TokenUsage } from '../pipelines/run/index.js';

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
  answer: (input: JsonObject) => Promise<Answered>,
): Promise<Served> {
  const { output, usage } = await answer(checked(input, call, 'input', 'INVALID_INPUT'));
  return {
    output: keepable(checked(output, call, 'output', 'INVALID_OUTPUT'), call.stage),
    endpoint: 'script',
    device: 'script',
    ...(usage && { usage }),
  };
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

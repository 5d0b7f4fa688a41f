import { isJsonObject } from '../../pipelines/json.js';
import type { ParameterValues } from './input-tensor.js';
import type { ServedModel } from './models.js';

/** The binding of a stage's text in a plan's output: `answer.text`. */
const TEXT_OF_STAGE = /^([^.]+)\.text$/;

/** The outputs that are the text of one stage, by the stage's path: they can be streamed. */
export function deltaFields(
  { pipeline, outputs }: ServedModel,
  requested: ReadonlyMap<string, ParameterValues>,
): ReadonlyMap<string, string> {
  const bindings = isJsonObject(pipeline.plan.output) ? pipeline.plan.output : {};
  return new Map(
    outputs.flatMap(({ name, holds }) => {
      const binding = bindings[name];
      const reference = isJsonObject(binding) && typeof binding.$ref === 'string' ? binding.$ref : '';
      const [, stage] = TEXT_OF_STAGE.exec(reference) ?? [];
      const wanted = requested.size === 0 || requested.has(name);
      return holds === 'text' && wanted && stage !== undefined && stage !== 'input' ? [[stage, name] as const] : [];
    }),
  );
}

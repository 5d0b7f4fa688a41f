import { isJsonObject } from '../../pipelines/json.js';
import { allSteps, type Binding, isStage, type Plan, type Step } from '../../pipelines/plan/index.js';

/**
 * The stages whose text becomes a field of the output, unchanged and once: in branches and nested pipelines, but not in
 * loops and races. The text that they stream is the beginning of that field.
 */
export function textStages(plan: Plan, field: string): ReadonlySet<string> {
  const steps = new Map([...allSteps(plan)].map((step) => [step.id, step]));
  return new Set(stagesOf(within(plan.output, [field]), steps));
}

function stagesOf(binding: Binding | undefined, steps: ReadonlyMap<string, Step>): string[] {
  if (!isJsonObject(binding) || typeof binding.$ref !== 'string') return [];
  const [source = '', ...fields] = binding.$ref.split('.');
  const step = steps.get(source);
  if (step === undefined) return [];
  // Text of an agent's model before a tool call is not part of its answer.
  if (isStage(step)) return fields.join('.') === 'text' && step.kind !== 'agent' ? [step.id] : [];
  if (step.kind === 'when')
    return [step.body.output, step.otherwise?.output].flatMap((output) => stagesOf(within(output, fields), steps));
  return step.kind === 'pipeline' && step.run === 'inline' ? stagesOf(within(step.plan.output, fields), steps) : [];
}

/** The binding of a field within another binding. */
function within(binding: Binding | undefined, fields: readonly string[]): Binding | undefined {
  const [field, ...rest] = fields;
  if (field === undefined || binding === undefined) return binding;
  if (!isJsonObject(binding)) return undefined;
  if (typeof binding.$ref === 'string') return { $ref: [binding.$ref, ...fields].join('.') };
  const isPlain = !Object.keys(binding).some((key) => key.startsWith('$'));
  return isPlain && Object.hasOwn(binding, field) ? within(binding[field], rest) : undefined;
}

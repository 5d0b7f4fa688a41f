import { isJsonObject } from '../../pipelines/json.js';
import { allSteps, type Binding, isStage, type Plan, type StagePlan } from '../../pipelines/plan/index.js';

/**
 * The stages whose text becomes a field of the output, unchanged and once: in branches and nested pipelines, but not in
 * loops and races. The text that they stream is the beginning of that field; of an agent, the text of its last turn.
 */
export function textStages(plan: Plan, field: string): ReadonlySet<string> {
  // The text of an agent with a schema may be followed by another model call, which gives it the required form.
  const isText = ({ kind, with: options }: StagePlan) => kind !== 'agent' || options.schema === undefined;
  return sources(plan, field, 'text', isText);
}

/** Those of them that are agents. */
export const agentsAmong = (plan: Plan, stages: ReadonlySet<string>): ReadonlySet<string> =>
  new Set(
    [...allSteps(plan)].flatMap((step) =>
      isStage(step) && step.kind === 'agent' && stages.has(step.id) ? [step.id] : [],
    ),
  );

/** The agents whose calls become fields of the output, with the position of the field. */
export const callingAgents = (plan: Plan, fields: readonly string[]): ReadonlyMap<string, number> =>
  new Map(
    fields.flatMap((field, i) =>
      [...sources(plan, field, 'toolCalls', ({ kind }) => kind === 'agent')].map((id) => [id, i] as const),
    ),
  );

/** The stages of which an output field is this field. */
function sources(plan: Plan, field: string, of: string, is: (stage: StagePlan) => boolean): ReadonlySet<string> {
  const steps = new Map([...allSteps(plan)].map((step) => [step.id, step]));
  const found = (binding: Binding | undefined): string[] => {
    if (!isJsonObject(binding) || typeof binding.$ref !== 'string') return [];
    const [source = '', ...fields] = binding.$ref.split('.');
    const step = steps.get(source);
    if (step === undefined) return [];
    if (isStage(step)) return fields.join('.') === of && is(step) ? [step.id] : [];
    if (step.kind === 'when')
      return [step.body.output, step.otherwise?.output].flatMap((output) => found(within(output, fields)));
    return step.kind === 'pipeline' && step.run === 'inline' ? found(within(step.plan.output, fields)) : [];
  };
  return new Set(found(within(plan.output, [field])));
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

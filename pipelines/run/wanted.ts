import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { type Plan, readsOf, sourcesOf } from '../plan/index.js';
import { StageError } from './stage-error.js';

/** The output's binding and the steps that it requires. */
export interface Wanted {
  readonly output: Json;
  readonly steps: ReadonlySet<string>;
}

/**
 * The steps that a run executes for some fields of the output: those that the fields depend on, and those that no field
 * depends on. The latter run for their effects, such as a write, which a caller must not omit.
 */
export function wanted(plan: Plan, outputs: readonly string[] | undefined): Wanted {
  if (outputs === undefined) return { output: plan.output, steps: new Set(plan.stages.map(({ id }) => id)) };
  const fields: JsonObject = isJsonObject(plan.output) ? plan.output : {};
  const unknown = outputs.find((field) => !Object.hasOwn(fields, field));
  if (unknown !== undefined || outputs.length === 0) {
    const known = Object.keys(fields).join(', ');
    throw new StageError('INVALID_INPUT', `the output has no field "${unknown ?? ''}" (its fields: ${known})`);
  }
  const output = Object.fromEntries(outputs.map((field) => [field, fields[field] as Json]));
  const forAll = needed(plan, new Set(sourcesOf(plan.output)));
  const forNone = plan.stages.filter(({ id }) => !forAll.has(id)).map(({ id }) => id);
  return { output, steps: needed(plan, new Set([...sourcesOf(output), ...forNone])) };
}

/** The steps and everything that they depend on. */
function needed({ stages }: Plan, steps: Set<string>): ReadonlySet<string> {
  for (const step of [...stages].reverse()) {
    if (steps.has(step.id)) for (const source of readsOf(step)) steps.add(source);
  }
  return steps;
}

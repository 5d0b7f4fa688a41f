import { invalidField } from '../pipelines/invalid-fields.js';
import { isJsonObject } from '../pipelines/json.js';
import { type Plan, PRIORITIES, type Priority } from '../pipelines/plan/index.js';

/** Options of a run, from the query of a request. */
export interface RunOptions {
  /** Wanted fields of the output; stages that only other fields need are skipped. */
  readonly outputs?: readonly string[];
  readonly priority?: Priority;
  /** URL that receives an event when the run ends. */
  readonly webhook?: string;
}

const KNOWN: ReadonlySet<string> = new Set(['outputs', 'priority', 'webhook']);

/**
 * Reads `?outputs=reply,transcript&priority=interactive&webhook=https://example.com/hooks`. Throws
 * `INVALID_INPUT` naming the parameter, also for unknown ones: a misspelt parameter would be ignored silently.
 */
export function runOptionsOf(query: unknown, plan: Plan): RunOptions {
  const given = isJsonObject(query) ? query : {};
  for (const [name, value] of Object.entries(given)) {
    if (!KNOWN.has(name)) throw invalidField(name, `is not a parameter; there are ${[...KNOWN].join(', ')}`);
    if (typeof value !== 'string') throw invalidField(name, 'is given twice');
  }
  const { outputs, priority, webhook } = given as { outputs?: string; priority?: string; webhook?: string };
  return {
    ...(outputs !== undefined && { outputs: outputsOf(outputs, plan) }),
    ...(priority !== undefined && { priority: priorityOf(priority) }),
    ...(webhook !== undefined && { webhook }),
  };
}

const outputsOf = (text: string, plan: Plan): readonly string[] =>
  knownOutputs(
    text.split(',').map((field) => field.trim()),
    plan,
  );

/** Names of wanted output fields, sorted and each once. Throws `INVALID_INPUT` for none and for unknown ones. */
export function knownOutputs(names: readonly string[], { output }: Plan): readonly string[] {
  const known = isJsonObject(output) ? Object.keys(output) : [];
  const fields = [...new Set(names)].filter((field) => field !== '');
  if (fields.length === 0) throw invalidField('outputs', `names no field; the output has ${known.join(', ')}`);
  const unknown = fields.find((field) => !known.includes(field));
  if (unknown !== undefined)
    throw invalidField('outputs', `the output has no field "${unknown}"; it has ${known.join(', ')}`);
  return fields.sort();
}

function priorityOf(text: string): Priority {
  const found = PRIORITIES.find((priority) => priority === text);
  if (found) return found;
  throw invalidField('priority', `must be one of ${PRIORITIES.join(', ')}, not "${text}"`);
}

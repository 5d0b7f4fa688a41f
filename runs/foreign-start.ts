import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Pipeline } from '../pipelines/definition/index.js';
import { MillraceError } from '../pipelines/errors.js';
import { fieldErrors, invalidField, invalidFields } from '../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { type Plan, PRIORITIES, type Priority } from '../pipelines/plan/index.js';
import {
  type PreparedStart,
  resumedRun,
  START_OPTIONS_VERSION,
  type StartCall,
  type StartOptions,
} from '../pipelines/run/index.js';
import { TENANT } from '../pipelines/tenant.js';
import { knownOutputs } from './options.js';
import { type Preparing, prepareRun } from './prepare.js';

/** What preparing runs that no gateway starts takes. */
export interface ForeignStarting extends Pick<Preparing, 'placementOf'> {
  readonly pipelines: readonly Pipeline[];
}

/** Owner of a run whose options name none. */
const DEFAULT_TENANT = 'default';

/**
 * Prepares a run that a client or workflow of any SDK has started, with what a gateway checks and decides. Throws
 * `PIPELINE_NOT_FOUND`, `INVALID_INPUT` naming the fields, and what `prepareRun` throws.
 *
 * @param id the workflow's id
 */
export function prepareForeign(deps: ForeignStarting, start: StartCall['start'], id: string): PreparedStart {
  const pipeline = deps.pipelines.find(({ name }) => name === start.pipeline);
  if (!pipeline) throw notFound(deps, start.pipeline);
  if (resumedRun(id) !== undefined) {
    throw invalidField(
      'workflowId',
      `"${id}" ends like the id of a run that resumes another; choose an id without -r<number>`,
    );
  }
  const { tenant = DEFAULT_TENANT, priority, outputs, deadlineMs } = optionsOf(start.options);
  const { plan } = pipeline;
  const input = inputOf(pipeline, start.input);
  const { context, memo } = prepareRun(deps, {
    id,
    pipeline: { ...pipeline, plan: within(plan, deadlineMs) },
    tenant,
    input,
    options: { ...(priority && { priority }), ...(outputs && { outputs: knownOutputs(outputs, plan) }) },
    events: true,
    // A digest, since run ids begin with the time, and those of two runs with the same digits.
    keyTag: createHash('sha256').update(start.chain).digest('hex').slice(0, 16),
  });
  return { input, context, memo: memo as unknown as JsonObject };
}

const within = (plan: Plan, deadlineMs = plan.deadlineMs): Plan =>
  deadlineMs < plan.deadlineMs ? { ...plan, deadlineMs } : plan;

function notFound({ pipelines }: ForeignStarting, name: string): MillraceError {
  const known = pipelines.map((each) => each.name).join(', ');
  const message = `no pipeline has the name "${name}", the type of this workflow; there are ${known}`;
  return new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field: 'workflowType', message }] });
}

/** The input after parsing by the pipeline's schema. */
function inputOf({ input: schema }: Pipeline, given: Json): JsonObject {
  if (!isJsonObject(given))
    throw invalidField('body', 'the first argument of the workflow must be an object: the input');
  const shape = schema instanceof z.ZodObject ? schema.shape : {};
  let parsed: z.ZodSafeParseResult<unknown>;
  try {
    parsed = schema.safeParse(given);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalidField('body', 'is nested too deeply');
  }
  if (parsed.success) return parsed.data as JsonObject;
  throw invalidFields(
    'INVALID_INPUT',
    parsed.error.issues.flatMap((issue) => fieldErrors(issue, given, shape)),
  );
}

const KNOWN = ['millrace', 'tenant', 'priority', 'outputs', 'deadlineMs'];

/** Reads the second argument; absent or null, all defaults apply. */
function optionsOf(given: Json): Omit<StartOptions, 'millrace'> {
  if (given === null) return {};
  if (!isJsonObject(given)) throw invalidField('options', 'the second argument of the workflow must be an object');
  const { millrace, tenant, priority, outputs, deadlineMs } = given;
  if (millrace !== START_OPTIONS_VERSION)
    throw invalidField('options.millrace', `must be ${START_OPTIONS_VERSION}, the version of the options`);
  const unknown = Object.keys(given).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined)
    throw invalidField(`options.${unknown}`, `is not an option; there are ${KNOWN.join(', ')}`);
  const found = {
    ...(tenant != null && { tenant: checked('tenant', tenant, isTenant, `a name like ${DEFAULT_TENANT}`) }),
    ...(priority != null && { priority: checked('priority', priority, isPriority, `one of ${PRIORITIES.join(', ')}`) }),
    ...(outputs != null && { outputs: checked('outputs', outputs, isNames, 'a list of names of output fields') }),
    ...(deadlineMs != null && {
      deadlineMs: checked('deadlineMs', deadlineMs, isMs, 'a whole number of milliseconds, 1 or more'),
    }),
  };
  return found;
}

function checked<T>(name: string, value: Json, fits: (value: unknown) => value is T, what: string): T {
  if (fits(value)) return value;
  throw invalidField(`options.${name}`, `must be ${what}`);
}

const isTenant = (value: unknown): value is string => typeof value === 'string' && TENANT.test(value);
const isPriority = (value: unknown): value is Priority => PRIORITIES.some((each) => each === value);
const isNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');
const isMs = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 1;

import { z } from 'zod';
import { type Duration, durationMs } from '../duration.js';
import { MillraceError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import type { Binding } from '../plan/binding.js';
import { seal } from '../plan/hash.js';
import { PLAN_VERSION, type Plan, type StagePlan } from '../plan/plan.js';
import { STAGE_KINDS } from '../stages/index.js';
import type { CodeStage, StageKind, StageUse } from '../stages/kind.js';
import { resolveCache, type SemanticCache } from './cache.js';
import { type PolicyOptions, resolvePolicy } from './policy.js';
import { type Bind, type Bound, jsonSchema, type Ref, reference, schemaOf, toBinding } from './reference.js';

/** What the traced function gets. */
export interface Trace<I> {
  /** The run's input. */
  readonly input: Ref<I>;
  /** Adds a stage and returns a reference to its output. Stages that do not read each other run in parallel. */
  stage<SI, SO>(id: string, use: StageUse<SI, SO>, input: Bind<SI>, options?: StageOptions): Ref<SO>;
}

export interface StageOptions extends PolicyOptions {
  readonly cache?: SemanticCache;
}

export interface PipelineOptions<Shape extends z.ZodRawShape> {
  readonly input: z.ZodObject<Shape>;
  readonly description?: string;
  /** The whole run must end within this time. Default 5 minutes: longer work should say so. */
  readonly deadline?: Duration;
}

/** A pipeline definition. `O` is the type of its output. */
export interface Pipeline<I = unknown, O = unknown> {
  readonly name: string;
  readonly description: string;
  readonly plan: Plan;
  /** Checks a run's input; unknown fields are errors. */
  readonly input: z.ZodType<I>;
  readonly inputSchema: Json;
  readonly outputSchema: Json;
  /** The `code` stages' functions by name. */
  readonly code: ReadonlyMap<string, CodeStage>;
  /** Only a type: the output of a run. */
  readonly types?: { readonly output: O };
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * Defines a pipeline. `trace` is called once, now; it gets references in place of values and must not branch on them.
 * Throws `INVALID_PIPELINE` naming the stage and what to change.
 */
export function pipeline<Shape extends z.ZodRawShape, B>(
  name: string,
  options: PipelineOptions<Shape>,
  trace: (trace: Trace<z.output<z.ZodObject<Shape>>>) => B,
): Pipeline<z.output<z.ZodObject<Shape>>, Bound<B>> {
  checkName(name, 'pipeline name');
  const input = z.strictObject(options.input.shape);
  const stages: StagePlan[] = [];
  const code = new Map<string, CodeStage>();
  const owner = {};
  const deadlineMs = durationMs(options.deadline ?? '5m', 'deadline');

  const result = trace({
    input: reference('input', input, owner) as Ref<z.output<z.ZodObject<Shape>>>,
    stage(id, use, bound, { cache, ...policy } = {}) {
      checkName(id, 'stage id');
      if (id === 'input') throw invalid(id, 'is the name of the run’s input; choose another stage id');
      if (stages.some((stage) => stage.id === id)) throw invalid(id, 'is defined twice');
      if (!Object.hasOwn(STAGE_KINDS, use.kind)) throw invalid(id, `has the unknown stage kind "${use.kind}"`);
      const kind: StageKind = STAGE_KINDS[use.kind as keyof typeof STAGE_KINDS];
      if (kind.control) checkControl(id, use.with, { cache, ...policy }, deadlineMs);
      if (use.run !== undefined) {
        const same = code.get(use.model);
        if (same && same.run !== use.run) throw invalid(id, `uses another function named "${use.model}"`);
        code.set(use.model, use as unknown as CodeStage);
      }
      stages.push({
        id,
        kind: use.kind,
        model: use.model,
        with: use.with,
        input: toBinding(bound, `${id}.input`, owner),
        policy: resolvePolicy(policy, kind.policy ?? {}, id),
        ...(cache !== undefined && { cache: resolveCache(cache, `${id}.cache`, owner) }),
      });
      return reference(id, use.output, owner);
    },
  });

  const output = toBinding(result, 'output', owner);
  checkOutput(output);
  const plan = seal({
    planVersion: PLAN_VERSION,
    name,
    deadlineMs,
    stages,
    output,
  });
  return {
    name,
    description: options.description ?? '',
    plan,
    input: input as unknown as z.ZodType<z.output<z.ZodObject<Shape>>>,
    inputSchema: jsonSchema(input, 'input'),
    outputSchema: schemaOf(result),
    code,
  };
}

function checkName(name: string, what: string): void {
  if (!NAME.test(name)) throw invalid(name, `is not a ${what}: lower-case letters, digits and dashes, a letter first`);
}

/** A stage that the interpreter carries out itself has nothing to retry or to keep, and must fit into the run. */
function checkControl(id: string, { timeoutMs }: JsonObject, options: object, deadlineMs: number): void {
  const [given] = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given) throw invalid(`${id}.${given[0]}`, 'has no meaning for a stage that calls no server; leave it out');
  if (Number(timeoutMs) > deadlineMs) {
    throw invalid(
      `${id}.timeout`,
      `is ${Number(timeoutMs)} ms, longer than the pipeline’s deadline of ${deadlineMs} ms`,
    );
  }
}

function checkOutput(output: Binding): void {
  if (typeof output === 'object' && output !== null && !Array.isArray(output)) return;
  throw invalid('output', 'must be an object: return { field: reference, ... } from the pipeline function');
}

const invalid = (field: string, message: string) =>
  new MillraceError('INVALID_PIPELINE', `"${field}" ${message}`, { fields: [{ field, message }] });

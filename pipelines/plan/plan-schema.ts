import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../errors.js';
import type { JsonObject } from '../json.js';
import { isDefinedKind, KIND_NAME, STAGE_KINDS } from '../stages/index.js';
import type { Effects } from '../stages/traits.js';
import { MOST_FACTS } from './agent.js';
import { whyNoFailures, whyNotExact } from './exact.js';
import { PLAN_VERSION } from './plan.js';

/**
 * The plan as a zod schema. It validates plans read from files and is the source of the published JSON Schema. A type
 * test keeps it in sync with `plan.ts`. Not exported by this folder's index, which the sandbox loads.
 */

const ms = (about: string) =>
  z
    .int()
    .min(1)
    .meta({ description: `${about}, in milliseconds` });
const id = z.string().regex(/^[a-z][a-z0-9-]{0,62}(\/[a-z][a-z0-9-]{0,62})*$/);
const model = z.string().min(1);
const streamName = z.enum(['sentences', 'tokens', 'entries', 'chunks']);
const options = z.record(z.string(), z.json()) as unknown as z.ZodType<JsonObject>;

/** Any JSON, in which `$ref`, `$text`, `$op` and `$const` have special meaning. */
const binding = z.json().meta({ id: 'Binding', description: 'Source of a value; see plan.md, Bindings' });

const alternative = z
  .strictObject({
    kind: z.union([z.enum(Object.keys(STAGE_KINDS)), z.string().regex(KIND_NAME)]),
    effects: z
      .enum(['none', 'possible', 'intended'])
      .optional()
      .meta({ description: 'Effects of the calls of a kind made with defineKind' }),
    model,
    with: options,
    codeVersion: z.string().min(1).optional().meta({ description: 'Version of the function of a code stage' }),
  })
  .meta({ id: 'Alternative', description: 'What serves a stage' });

const codes = Object.keys(ERRORS) as ErrorCode[];
const retry = z.strictObject({
  attempts: z.int().min(1).max(100),
  initialMs: ms('First wait'),
  factor: z.number().min(1).max(10),
  maxMs: ms('Maximum wait'),
  jitter: z.number().min(0).max(1).optional(),
  on: z.array(z.enum(codes)).min(1).optional(),
});
const policy = z
  .strictObject({
    retry,
    timeout: z.strictObject({
      attemptMs: ms('One attempt'),
      totalMs: ms('All attempts'),
      queueMs: ms('Wait for a model server').optional(),
      firstChunkMs: ms('Maximum time until the first chunk').optional(),
      idleMs: ms('Maximum time between two chunks').optional(),
    }),
    execution: z.enum(['queued', 'inline']),
    priority: z.enum(['interactive', 'default', 'batch']).optional(),
    hedge: z
      .union([
        z.strictObject({ afterMs: ms('Delay of the second call') }),
        z.strictObject({ percentile: z.number().min(50).max(99.9) }),
      ])
      .optional(),
    patienceMs: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'Maximum wait for a server that is away before an alternative is taken, in milliseconds' }),
  })
  .meta({ id: 'StagePolicy' });

const freshness = {
  ttlMs: ms('Time to live of an answer'),
  shared: z.literal(true).optional(),
  untilMidnight: z.string().min(1).optional(),
  version: binding.optional(),
};
const exactCache = z.strictObject({
  kind: z.literal('exact'),
  ...freshness,
  negativeMs: ms('Time to live of a failure that the same input causes again').optional(),
  pure: z.literal(true).optional(),
});
const semanticCache = z.strictObject({
  kind: z.literal('semantic'),
  key: binding,
  ...freshness,
  minSimilarity: z.number().gt(0).max(1),
  embedder: model,
  maxErrorRate: z.number().gt(0).max(0.5).optional(),
  reask: z.number().min(0).max(1).optional(),
  agree: z
    .discriminatedUnion('by', [
      z.strictObject({ by: z.literal('text') }),
      z.strictObject({ by: z.literal('fields'), fields: z.array(z.string().min(1)).min(1) }),
      z.strictObject({ by: z.literal('similarity'), atLeast: z.number().gt(0).max(1) }),
      z.strictObject({ by: z.literal('model'), model }),
    ])
    .optional(),
  verifier: z
    .strictObject({
      entailment: model,
      label: z.string().min(1),
      timeoutMs: z.int().min(1).max(10_000).meta({ description: 'Longest wait for the model, in milliseconds' }),
    })
    .optional(),
  timely: z.literal(true).optional(),
});
const cache = z.discriminatedUnion('kind', [semanticCache, exactCache]);

const price = z.strictObject({ input: z.number().min(0), output: z.number().min(0) });
const ofTools = {
  policy,
  approval: z.strictObject({ timeoutMs: ms('Maximum wait for a person'), otherwise: z.boolean() }).optional(),
  onFailure: z.enum(['tell', 'fail']),
};
const offered = {
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  description: z.string().min(1),
  schema: options,
  ...ofTools,
};
const names = z.array(z.string().min(1));
const body = z.union([z.strictObject({ rest: z.literal(true) }), z.strictObject({ of: z.string().min(1) })]);
const stageTool = z.strictObject({
  ...offered,
  ...alternative.shape,
  /** `sandbox`: code that the model has written; no stage has this kind. */
  kind: z.union([alternative.shape.kind, z.literal('sandbox')]),
  by: z.literal('stage'),
  places: z.strictObject({ path: names, query: names, body: body.optional() }).optional(),
  result: z.string().min(1).optional(),
});
const pipelineTool = z.strictObject({
  ...offered,
  by: z.literal('pipeline'),
  get plan(): typeof planSchema {
    return planSchema;
  },
});

/** Schema of an agent's `with`. */
export const agentSchema = z.strictObject({
  instructions: z.string().optional(),
  maxTokens: z.int().min(1),
  temperature: z.number().min(0).max(2),
  tools: z.array(z.discriminatedUnion('by', [stageTool, pipelineTool])),
  servers: z
    .array(
      z.strictObject({
        server: z.string().min(1),
        only: names.min(1).optional(),
        prefix: z.string().min(1).optional(),
        elicitation: z.strictObject({ timeoutMs: ms('Maximum wait for an answer') }).optional(),
        ...ofTools,
      }),
    )
    .min(1)
    .optional(),
  maxTurns: z.int().min(1).max(1_000),
  budget: z
    .strictObject({
      tokens: z.int().min(1).optional(),
      ms: ms('Time in model calls and tools').optional(),
      cost: z.number().gt(0).optional(),
      price: price.optional(),
    })
    .optional(),
  onLimit: z.enum(['answer', 'fail']),
  schema: options.optional(),
  session: z.strictObject({ ttlMs: ms('Time to live'), summarizeOver: z.int().min(1) }).optional(),
  memory: z.strictObject({ ttlMs: ms('Time to live'), facts: z.int().min(1).max(MOST_FACTS) }).optional(),
  context: z.strictObject({ tokens: z.int().min(1).optional(), resultCharacters: z.int().min(1) }).optional(),
  team: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        description: z.string(),
        instructions: z.string().optional(),
        tools: names,
        servers: names,
        to: names,
      }),
    )
    .min(2)
    .optional(),
  toolSearch: z.strictObject({ embedder: model, shown: z.int().min(1) }).optional(),
  guards: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        on: z.enum(['input', 'output', 'tool']),
        tool: z.string().min(1),
        only: names.min(1).optional(),
        ask: z.strictObject({ timeoutMs: ms('Maximum wait for a person'), otherwise: z.boolean() }),
      }),
    )
    .min(1)
    .optional(),
  wrongTurns: z.int().min(1).optional(),
});

/** The interpreter knows the effects of Millrace's kinds, and those of others by the plan alone. */
function checkEffects({ kind, effects }: { kind: string; effects?: unknown }, context: z.RefinementCtx): void {
  if (isDefinedKind(kind) === (effects !== undefined)) return;
  const message = isDefinedKind(kind) ? 'is required for a kind made with defineKind' : 'does not apply to this kind';
  context.addIssue({ code: 'custom', message, path: ['effects'] });
}

/** A hit must not skip an effect, whoever has written the plan. */
function checkExact(
  by: { kind: string; effects?: Effects | undefined; with: unknown },
  cache: { kind: string; pure?: true | undefined; negativeMs?: number | undefined } | undefined,
  context: z.RefinementCtx,
): void {
  if (cache?.kind !== 'exact') return;
  const { kind, effects } = by;
  const why = whyNotExact({ kind, with: by.with, ...(effects && { effects }) }, cache.pure === true);
  if (why !== undefined) context.addIssue({ code: 'custom', message: `cannot be exact: ${why}`, path: ['cache'] });
  const none = cache.negativeMs === undefined ? undefined : whyNoFailures(by);
  if (none !== undefined) context.addIssue({ code: 'custom', message: none, path: ['cache', 'negativeMs'] });
}

const ofForeign = {
  queue: z.string().min(1),
  input: options,
  output: options,
  args: names.optional(),
  version: z.string().min(1).optional(),
};

/**
 * Schemas of `with` of the kinds whose options the interpreter relies on; the others are not checked here. Agents
 * contain plans, and what another worker serves is called by the workflow itself.
 */
const WITH: Readonly<Record<string, z.ZodType>> = {
  agent: agentSchema,
  activity: z.strictObject({
    ...ofForeign,
    heartbeatMs: ms('Maximum time between two heartbeats').optional(),
    protocol: z.literal('millrace').optional(),
    yields: z.literal(true).optional(),
    takes: z.array(z.string()).min(1).optional(),
  }),
  workflow: z.strictObject(ofForeign),
  code: z.looseObject({ yields: z.literal(true).optional(), takes: z.array(z.string()).min(1).optional() }),
};

function checkWith({ kind, with: given }: { kind: string; with: JsonObject }, context: z.RefinementCtx): void {
  for (const issue of WITH[kind]?.safeParse(given).error?.issues ?? []) {
    context.addIssue({ code: 'custom', message: issue.message, path: ['with', ...issue.path] });
  }
}

const streamPlan = z.strictObject({ from: id, of: streamName, restarts: z.literal(true).optional() });

const stage = z
  .strictObject({
    id,
    ...alternative.shape,
    input: binding,
    policy,
    cache: cache.optional(),
    fallback: z
      .array(z.union([alternative, z.literal('skip')]))
      .min(1)
      .optional(),
    degrade: z
      .array(
        z.strictObject({
          belowMs: ms('Time left'),
          to: z.union([alternative, z.literal('cached'), z.literal('skip')]),
        }),
      )
      .min(1)
      .optional(),
    reserveMs: ms('Time that earlier stages leave for it').optional(),
    streams: z
      .record(z.string(), streamPlan)
      .optional()
      .meta({ description: 'Fields of the input that are read while another stage makes them' }),
    streamed: z
      .array(z.enum([...streamName.options, 'pieces']))
      .min(1)
      .optional()
      .meta({
        description:
          'Its streams that other stages read; of a voice `chunks`: callers hear its audio while it is made; `pieces`: something of the plan reads the pieces',
      }),
    onCut: z.enum(['end', 'restart', 'fallback']).optional().meta({
      description:
        'A streamed answer that breaks off and cannot be continued ends with what there is, or starts over if nothing was made of it; audio that an alternative with another voice follows ends, or goes on with it (`fallback`)',
    }),
  })
  .superRefine((given, context) => {
    const alternatives = [...(given.fallback ?? []), ...(given.degrade ?? []).map(({ to }) => to)];
    for (const by of [given, ...alternatives]) {
      if (typeof by !== 'object') continue;
      checkEffects(by, context);
      checkWith(by, context);
      checkExact(by, given.cache, context);
    }
  })
  .meta({ id: 'Stage' });

const graph = z
  .strictObject({
    get stages(): z.ZodArray<typeof step> {
      return z.array(step);
    },
    output: binding,
  })
  .meta({ id: 'Graph', description: 'Steps in dependency order: each reads only earlier ones' });

const when = z
  .strictObject({ id, kind: z.literal('when'), condition: binding, body: graph, otherwise: graph.optional() })
  .meta({ id: 'When' });
const each = z
  .strictObject({
    id,
    kind: z.literal('each'),
    over: binding,
    concurrency: z.int().min(1).max(256),
    onFailure: z.enum(['fail', 'null', 'drop']),
    body: graph,
    streams: z.strictObject({ over: streamPlan }).optional(),
    streamed: z.array(z.literal('entries')).min(1).optional(),
  })
  .meta({ id: 'Each' });
const repeat = z
  .strictObject({
    id,
    kind: z.literal('repeat'),
    start: binding,
    until: binding,
    atMost: z.int().min(1).max(10_000),
    onLimit: z.enum(['accept', 'fail']),
    body: graph,
  })
  .meta({ id: 'Repeat' });
const race = z
  .strictObject({ id, kind: z.literal('race'), contenders: z.record(z.string(), graph) })
  .meta({ id: 'Race' });

const planShape = {
  planVersion: z.literal(PLAN_VERSION),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  version: z.string().regex(/^[0-9a-f]{12}$/),
  deadlineMs: ms('The whole run'),
  record: z.enum(['outputs', 'off']).optional().describe('What the record of its runs keeps; absent: all'),
};
const subPipeline = z
  .strictObject({
    id,
    kind: z.literal('pipeline'),
    input: binding,
    run: z.enum(['inline', 'child']),
    get plan(): typeof planSchema {
      return planSchema;
    },
  })
  .meta({ id: 'SubPipeline' });

const step = z.union([stage, when, each, repeat, race, subPipeline]).meta({ id: 'Step' });

export const planSchema = z.strictObject({ ...planShape, ...graph.shape }).meta({ id: 'Plan' });

/** JSON Schema (2020-12) of this plan format. */
export const planJsonSchema = (): JsonObject => z.toJSONSchema(planSchema) as unknown as JsonObject;

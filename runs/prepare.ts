import { createHash, randomUUID } from 'node:crypto';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import { allSteps, isStage, type Plan } from '../pipelines/plan/index.js';
import { isOneSegment } from '../pipelines/plan/segments.js';
import { wantedGraph, wholeRun } from '../pipelines/run/build-segment.js';
import { deliveryId, type RunContext, type Segment, type WebhookTarget } from '../pipelines/run/index.js';
import { changesElsewhere } from '../pipelines/stages/index.js';
import type { RunDeps } from './deps.js';
import type { RunMemo } from './memo.js';
import type { RunOptions } from './options.js';
import { refuseTooLarge, withFittingDecisions } from './start-size.js';
import { webhookTargets } from './webhooks/targets.js';

/** A request for a run. */
export interface RunRequest {
  readonly id: string;
  readonly pipeline: Pick<Pipeline, 'name' | 'description' | 'plan'>;
  readonly tenant: string;
  /** Owner of the run’s sessions. Absent: the pipeline. */
  readonly owner?: string | undefined;
  readonly input: JsonObject;
  /** `trace` of its caller. */
  readonly trace?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /** Its id may be that of another run, which Temporal tells when it is started. */
  readonly repeated?: boolean;
  readonly options?: RunOptions | undefined;
  /** `sent` and `asks` of its order. */
  readonly sent?: string | undefined;
  readonly asks?: JsonObject | undefined;
  /** Receivers may subscribe to it while it is under way. */
  readonly subscribable?: boolean;
  /** What its door keeps with it. */
  readonly notes?: JsonObject | undefined;
  /** As in its context. */
  readonly keyTag?: string | undefined;
  /** Whether stages publish events. */
  readonly events?: boolean;
  /** Whether the caller waits for the result. */
  readonly answer?: boolean;
  /** The run that it resumes, and the decisions in it: those for which there is no room are left out. */
  readonly resumes?: { readonly id: string } & Pick<RunContext, 'decisions' | 'sessionsOf'> &
    Pick<RunMemo, 'fingerprint' | 'webhooks'>;
}

/** A run with everything that is decided before its start, once: the workflow, the job and the document all use it. */
export interface PreparedRun {
  readonly request: RunRequest;
  readonly context: RunContext;
  readonly memo: RunMemo;
  /** Receivers of its event. */
  readonly webhooks: readonly WebhookTarget[];
  /** The worker sends its result ahead of Temporal’s record. */
  readonly answered: boolean;
  /** The whole run as one segment, if a fast host is to run it. */
  readonly guarded?: Segment;
  /** A fast host may get it before Temporal has confirmed its start. */
  readonly changesNothing: boolean;
}

/** What preparing a run takes. */
export type Preparing = Pick<RunDeps, 'placementOf' | 'webhooks' | 'answers' | 'fast'>;

/** Throws `INPUT_TOO_LARGE`, `MODEL_NOT_CONFIGURED`, and what `webhookTargets` throws. */
export function prepareRun(deps: Preparing, request: RunRequest): PreparedRun {
  const { pipeline, tenant, input, sent, asks, options = {}, resumes, answer = false, subscribable = false } = request;
  const { plan } = pipeline;
  const scope = { tenant, pipeline: plan.name, webhook: options.webhook };
  const named = resumes ? (resumes.webhooks ?? []) : webhookTargets(deps.webhooks, scope);
  const webhooks = subscribable ? [...named, { subscriptions: true as const }] : named;
  const channel = answer ? deps.answers?.channel : undefined;
  const answered = channel !== undefined && isOneSegment(wantedGraph(plan, options.outputs));
  // With receivers, the delivery workflow starts the run; without a waiting caller, the fast path gains nothing.
  const fast = answered && deps.fast !== undefined && options.priority === 'interactive' && webhooks.length === 0;
  const own = contextOf(deps, request, channel, fast ? randomUUID() : undefined);
  const whole = webhooks.length > 0 ? { ...own, waitsTo: deliveryId(request.id) } : own;
  const context = withFittingDecisions(input, whole, request.notes);
  refuseTooLarge(input, context, request.notes);
  const guarded = fast ? wholeRun(input, context) : undefined;
  const memo: RunMemo = {
    tenant,
    pipeline: plan.name,
    version: plan.version,
    createdAt: new Date().toISOString(),
    fingerprint: resumes?.fingerprint ?? jsonHash({ pipeline: plan.name, input, ...options } as JsonObject),
    ...(sent !== undefined && { sent: jsonHash({ pipeline: plan.name, sent, ...(asks ?? options) } as JsonObject) }),
    ...(context.streamTag !== undefined && { streamTag: context.streamTag }),
    ...(resumes && { resumedFrom: resumes.id }),
    ...(webhooks.length > 0 && { webhooks }),
  };
  return {
    request,
    context,
    memo,
    webhooks,
    answered,
    ...(guarded && { guarded }),
    changesNothing: guarded !== undefined && !mayExist(request) && changesNothing(plan),
  };
}

function contextOf(
  deps: Preparing,
  { id, pipeline, tenant, owner, trace = traceOfRun(id), options = {}, events, keyTag, resumes }: RunRequest,
  answerTo: string | undefined,
  guarded: string | undefined,
): RunContext {
  const { decisions = {}, sessionsOf } = resumes ?? {};
  const { webhook: _, ...wanted } = options;
  return {
    plan: pipeline.plan,
    placement: deps.placementOf(pipeline.plan),
    tenant,
    sealed: true,
    streamTag: randomUUID().slice(0, 8),
    ...(keyTag !== undefined && { keyTag }),
    ...(owner !== undefined && { sessionsOf: `${pipeline.plan.name}/${owner}` }),
    ...wanted,
    trace,
    ...(events && { events }),
    ...(answerTo !== undefined && { answerTo }),
    ...(guarded !== undefined && { guarded }),
    ...(sessionsOf !== undefined && { sessionsOf }),
    ...(Object.keys(decisions).length > 0 && { decisions }),
  };
}

/** The trace of a run whose caller has none, which its child runs share; sampled. */
const traceOfRun = (id: string): string =>
  `${createHash('sha256').update(`trace ${id}`).digest('hex').slice(0, 32)}-01`;

/** A run that may exist must not be executed before Temporal has told that it does not. */
export const mayExist = ({ idempotencyKey, repeated = false }: RunRequest): boolean =>
  idempotencyKey !== undefined || repeated;

/** A run with side effects is queued only after Temporal has confirmed its start. */
const changesNothing = (plan: Plan): boolean =>
  [...allSteps(plan)].every((step) => !isStage(step) || !changesElsewhere(step));

/** The id of a new run; derived from the idempotency key if there is one. */
export function runId({ pipeline, tenant, idempotencyKey }: Omit<RunRequest, 'id' | 'input'>): string {
  if (idempotencyKey === undefined) return `${pipeline.name}-${randomUUID()}`;
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, pipeline.name, idempotencyKey]))
    .digest('hex');
  return `${pipeline.name}-${hash.slice(0, 32)}`;
}

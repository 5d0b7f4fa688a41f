import type { StagePlan } from '../../pipelines/plan/index.js';
import { channelPath } from '../../pipelines/run/channel-path.js';
import type { HeldEntries, RunContext, StageCall } from '../../pipelines/run/index.js';
import { traitsOf } from '../../pipelines/stages/traits.js';
import type { Run } from './state.js';

/** What the step alone knows of its call. */
interface OwnCall {
  readonly cache?: StageCall['cache'];
  /** The host has channels. */
  readonly streams?: boolean;
  /** The call is a turn of an agent whose text other stages read. */
  readonly turn?: StageCall['turn'];
  /** Entries of channels that the input reads. */
  readonly held?: HeldEntries['entries'] | undefined;
  /** The stage reads channels: timeout of an entry, in milliseconds. */
  readonly entryMs?: number;
  /** An earlier call of the stage may have written its streams. */
  readonly again?: boolean;
}

/** Call argument of a stage's activity. `path`: position of the call in the run. */
export function callOf(run: Run, stage: StagePlan, path: string, own: OwnCall = {}): StageCall {
  const { plan, tenant, sessionsOf, placement, trace, keyTag } = run.context;
  const { id, kind, effects, model, codeVersion, policy, onCut } = stage;
  const { cache, streams, turn, held, entryMs, again = false } = own;
  const { retry, timeout, hedge } = policy;
  const priority = policy.priority ?? run.context.priority;
  const next = placement[id]?.next;
  const runMs = run.context.runMs ?? plan.deadlineMs;
  return {
    pipeline: plan.name,
    version: plan.version,
    tenant,
    stage: id,
    ...(path !== id && { path }),
    ...(keyTag !== undefined && { keyTag }),
    kind,
    ...(effects !== undefined && { effects }),
    model,
    with: stage.with,
    ...(codeVersion !== undefined && { codeVersion }),
    ...(traitsOf(stage)?.embeds && insertedBy(sessionsOf)),
    ...(cache && { cache }),
    retry,
    ...(policy.patienceMs !== undefined && { patienceMs: policy.patienceMs }),
    ...(timeout.queueMs !== undefined && { queueMs: timeout.queueMs }),
    ...(timeout.firstChunkMs !== undefined && { firstChunkMs: timeout.firstChunkMs }),
    ...(timeout.idleMs !== undefined && { idleMs: timeout.idleMs }),
    ...(hedge && { hedge }),
    ...(held && { held: { kind, entries: held } }),
    ...(entryMs !== undefined && { reads: channelsOf(stage, path, run.context), entryMs }),
    ...(streams && stage.streamed && { writes: stage.streamed, ...(again && { again: true as const }) }),
    ...(turn && { turn }),
    ...(((streams && stage.streamed) || entryMs !== undefined) && channelOf(run.context, turn?.path ?? path, kind)),
    ...(onCut && ((streams && stage.streamed) || entryMs !== undefined) && { onCut }),
    ...(priority !== undefined && { priority }),
    ...(trace !== undefined && { trace }),
    ...(next && { next }),
    ...(run.context.events && { events: run.context.events }),
    ...(plan.record && { record: plan.record }),
    ...(plan.record === 'off' ? streams && stage.streamed && { streamedMs: runMs } : { runMs }),
    ...(plan.record !== 'off' && run.context.sealed && { sealed: run.context.sealed }),
  };
}

/** How the channels that a call writes are named. */
const channelOf = (context: RunContext, path: string, kind: string): Pick<StageCall, 'channel'> =>
  context.streamTag === undefined ? {} : { channel: { path: channelPath(path, context), kind } };

/** Who stores what the call caches; nobody in particular in a child run of a run without an owner, whose sessions are the pipeline's. */
export const insertedBy = (sessionsOf: string | undefined): { readonly insertedBy?: string } =>
  sessionsOf?.includes('/') ? { insertedBy: ownerOf(sessionsOf) } : {};

/** The caller, whichever pipeline it runs. Names of pipelines have no slash. */
export const ownerOf = (sessionsOf: string): string => sessionsOf.slice(sessionsOf.indexOf('/') + 1);

/** Producers are in the stage's own graph, so their paths begin like its own. */
export function channelsOf(
  { id, streams = {} }: Pick<StagePlan, 'id' | 'streams'>,
  path: string,
  context: Pick<RunContext, 'streamTag'>,
): NonNullable<StageCall['reads']> {
  const prefix = path.slice(0, path.length - id.length);
  const entries = Object.entries(streams).map(([field, { from, of, restarts }]) => [
    field,
    { path: channelPath(`${prefix}${from}`, context), of, ...(restarts && { restarts }) },
  ]);
  return Object.fromEntries(entries) as NonNullable<StageCall['reads']>;
}

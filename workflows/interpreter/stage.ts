import { isAway } from '../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json } from '../../pipelines/json.js';
import {
  type Binding,
  mask,
  resolve,
  resolvePartly,
  type Scope,
  type StagePlan,
  type Step,
  serveAs,
  sourcesOf,
} from '../../pipelines/plan/index.js';
import { type StageCall, type StagePlacement, withCost } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { runAgent } from './agent/agent.js';
import { leftBy, usageOf } from './agent/hand-over.js';
import { approve } from './approve.js';
import { callOf, insertedBy, ownerOf } from './call.js';
import { type Candidate, type Candidates, candidatesOf, endedCandidates, inputOf } from './candidates.js';
import { concernsAll, holds } from './host.js';
import { runCall } from './run-call.js';
import { checkInput } from './sizes.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { entryLost, forStream, heldOf, isLost, withoutStreams } from './streams.js';

/** The agent candidate that a new history continues with; the time left when it started determined the candidates. */
type UnderWay = { readonly share: number; readonly i: number; readonly instead?: string };

/** Failures that no other server would avoid: of the request, of the run, of Millrace itself. */
const BEYOND_HELP: ReadonlySet<string> = new Set([
  'INVALID_INPUT',
  'DEADLINE_EXCEEDED',
  'RUN_CANCELLED',
  'UNKNOWN_PLAN_VERSION',
  'WORKER_LOST',
  'RESUME_DIVERGED',
  'GUARDRAIL_STOPPED',
]);

/** Runs a stage: tries its candidates in order until one succeeds. Its value is null if it is optional and skipped. */
export async function runStage(run: Run, step: Step, scope: Scope, at: At): Promise<Json | Stopped> {
  const stage = step as StagePlan;
  const { table, deadline, context } = run;
  const { reads = false, lost = false } = at;
  const held = at.entries && heldOf(sourcesOf(stage.input), at);
  const resolved = held
    ? resolvePartly(stage.input, scope, (source) => Object.hasOwn(held, source))
    : resolve(stage.input, scope);
  const input = reads && isJsonObject(resolved) ? withoutStreams(stage, resolved) : resolved;
  if (!isJsonObject(input)) {
    const message = `stage "${stage.id}": its input is not an object`;
    if (stage.fallback?.at(-1) !== 'skip') throw new StageError('INVALID_INPUT', message, { stage: stage.id });
    table.skip(stage.id, 'INVALID_INPUT');
    return null;
  }
  if (stage.kind === 'approve') return approve(run, stage, input, at);
  const kept = stage.kind === 'agent' ? at.memo.below('under-way') : undefined;
  const before = kept?.value as UnderWay | undefined;
  const share = before?.share ?? deadline.shareOf(stage.id);
  const candidates = candidatesEndedBefore(run, stage, scope, at) ?? candidatesOf(stage, share);
  let instead = before?.instead ?? (candidates.degraded ? 'degraded' : undefined);
  let left: ReturnType<typeof leftBy>;
  // With streams, or before the run stopped for a new history, it has begun before.
  let again = lost || (reads && (context.carried !== undefined || run.stays === true));
  let from = before?.i ?? 0;
  table.underWay(stage.id, 1);
  try {
    for (const [i, candidate] of candidates.all.entries()) {
      if (i < from) continue;
      if (candidate === 'skip') {
        table.skip(stage.id, instead ?? 'degraded');
        return null;
      }
      const placed = context.placement[candidate.placed];
      if (!placed)
        throw new StageError('INTERNAL', `the placement has no row "${candidate.placed}"`, { stage: stage.id });
      if (before?.i !== i) {
        if (i === 0 && instead === undefined && !lost) table.start(stage.id);
        else table[i === 0 && !lost ? 'start' : 'instead'](stage.id, changeOf(candidate, placed, instead));
        kept?.end({ share, i, ...(instead !== undefined && { instead }) } satisfies UnderWay);
      }
      try {
        const own = candidate.placed === stage.id ? stage : serveAs(stage, candidate);
        const planned = i + 1 < candidates.all.length ? own : withoutPatience(own);
        const entry = candidates.ended ? planned : deadline.limit(planned);
        const limited = reads ? forStream(entry, deadline.shareOf(stage.id)) : entry;
        checkInput(input, stage.id, limited.cache?.kind === 'semantic' ? 2 : 1);
        const outcome =
          planned.kind === 'agent'
            ? await runAgent(run, planned, candidacyOf(candidate, candidates.all.length === i + 1, left), input, {
                ...at,
                memo: at.memo.below(candidate.placed),
              })
            : await runCall(
                run,
                at,
                limited,
                inputOf(candidate, stage, input),
                callOf(run, limited, `${at.prefix}${stage.id}`, {
                  cache: cacheOf(run, limited, candidate, scope),
                  streams: at.host.streams === true,
                  held,
                  again,
                  ...(reads && { entryMs: entry.policy.timeout.attemptMs }),
                }),
                placed,
              );
        if (outcome === STOPPED) return STOPPED;
        const usage = withCost(outcome.usage, placed.price);
        table.finish(stage.id, { ...outcome, ...(usage && { usage }) });
        return outcome.output;
      } catch (error) {
        if (!(error instanceof StageError)) {
          table.cancel(stage.id);
          throw error;
        }
        // No server has failed, so no other one is tried: the caller has the collected values.
        if (isLost(error) && deadline.leftMs > 0) {
          // The item that the entry is of begins again, with its value.
          if (held) {
            table.withdraw(stage.id);
            throw entryLost(error);
          }
          if (reads && holds(at.host, 'lost-streams-are-collected')) throw error;
        }
        const failure = !candidates.ended && deadline.isOver(error) ? deadline.exceeded(stage.id) : error;
        // A next agent goes on with what this one has used, and reports it at its end.
        const rest =
          candidate.kind === 'agent' ? leftBy(candidate, placed.price, at.memo.below(candidate.placed)) : undefined;
        table.fail(stage.id, failure);
        again ||= mayHaveStreamed(error);
        from = i + 1;
        // Degrade rungs serve runs short of time and runs whose servers are away, no others.
        if (!isAway(failure) && !candidates.spare.has(candidate)) {
          while (candidates.spare.has(candidates.all[from] as Candidate)) from += 1;
        }
        const next = candidates.all[from];
        const isLate = !candidates.ended && deadline.leftMs <= 0;
        const ends = next === undefined || concernsAll(failure, at.host) || isLate;
        if (rest && (ends || BEYOND_HELP.has(failure.code))) table.fail(stage.id, failure, usageOf(rest));
        if (ends) throw failure;
        if (next !== 'skip' && BEYOND_HELP.has(failure.code)) {
          if (candidates.all.at(-1) !== 'skip') throw failure;
          table.skip(stage.id, failure.code);
          return null;
        }
        instead = failure.code;
        if (candidate.kind === 'agent') {
          left = rest ?? left;
          at.memo.drop(candidate.placed);
        }
      }
    }
  } finally {
    table.underWay(stage.id, -1);
  }
  throw new StageError('INTERNAL', `stage "${stage.id}" has no candidate`, { stage: stage.id });
}

/** Whether a call that has failed may have written streams: not where none of its attempts had begun, or opened them. */
const mayHaveStreamed = ({ code, details: { unstreamed, begun, lost } }: StageError): boolean =>
  unstreamed !== true && (code !== 'QUEUE_TIMEOUT' || lost === true || (typeof begun === 'number' && begun > 0));

/** Of a stage whose segment has begun again, and that had succeeded before: how it did. */
function candidatesEndedBefore(run: Run, stage: StagePlan, scope: Scope, at: At): Candidates | undefined {
  const { endedBefore } = at.host;
  if (!endedBefore || stage.kind === 'agent') return undefined;
  return endedCandidates(stage, (candidate) => {
    const own = candidate.placed === stage.id ? stage : serveAs(stage, candidate);
    return endedBefore(callOf(run, own, `${at.prefix}${stage.id}`, { cache: cacheOf(run, own, candidate, scope) }));
  });
}

/** For the last candidate: there is no alternative to a server that is away. */
const withoutPatience = (stage: StagePlan): StagePlan => {
  const { patienceMs, ...policy } = stage.policy;
  return patienceMs === undefined ? stage : { ...stage, policy };
};

const candidacyOf = ({ placed }: Candidate, last: boolean, left: ReturnType<typeof leftBy>) => ({
  row: placed,
  last,
  left,
});

const changeOf = ({ model }: Candidate, { connector, device }: StagePlacement, instead: string | undefined) => ({
  model,
  connector,
  device,
  ...(instead !== undefined && { instead }),
});

/** The number 1 and the text "1" are different versions. */
const versionOf = (version: Binding, scope: Scope): string => canonicalJson(resolve(version, scope) ?? null);

/** What a semantic cache compares. The context lacks the key: objects and lists that differ must have texts that do. */
const textOf = (key: Json): string => (typeof key === 'object' && key !== null ? canonicalJson(key) : String(key));

/** The cache to query first; a semantic one with its key resolved. */
function cacheOf(
  { context: { sessionsOf } }: Run,
  { input, cache }: StagePlan,
  { cachedOnly }: Candidate,
  scope: Scope,
): StageCall['cache'] {
  if (!cache) return undefined;
  const own = {
    ...(cache.version !== undefined && { version: versionOf(cache.version, scope) }),
    ...insertedBy(sessionsOf),
    ...(cachedOnly && { only: true as const }),
  };
  const principal = cache.shared ? undefined : sessionsOf;
  // All pipelines share the results of equal calls.
  const { version: _, ...limits } = cache;
  if (limits.kind === 'exact')
    return { ...limits, ...own, ...(principal !== undefined && { principal: ownerOf(principal) }) };
  return {
    ...limits,
    key: textOf(resolve(limits.key, scope) ?? ''),
    context: resolve(mask(input, limits.key), scope),
    ...own,
    ...(principal !== undefined && { principal }),
  };
}

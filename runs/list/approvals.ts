import type { Pipeline } from '../../pipelines/definition/index.js';
import { asksPeople } from '../../pipelines/plan/people.js';
import type { Approval, ApprovalPage, RunSummary } from '../../pipelines/run/document.js';
import type { Wait } from '../../pipelines/run/index.js';
import type { Caller } from '../caller.js';
import type { RunDeps } from '../deps.js';
import { runPath } from '../document.js';
import { TEMPORAL_DEADLINE_MS } from '../orchestrator.js';
import { waitingIn } from '../waiting.js';
import type { ListRequest } from './run-list.js';

/** Most runs of a page: each is asked for its waits, which costs Temporal and a worker a question. */
export const MOST_ASKED = 25;

/** Maximum size of the waits of a run and its child runs, in bytes: a page has those of `MOST_ASKED` runs. */
const MOST_BYTES = 1_000_000;

/** Runs that are asked at once; each question takes a worker. */
const AT_ONCE = 8;

export interface WaitingPage {
  /** Runs that wait, with what they wait for. */
  readonly runs: readonly (RunSummary & { readonly waiting: readonly Wait[] })[];
  /** Runs that no worker could be asked about. */
  readonly unknown: readonly string[];
  readonly nextCursor?: string;
}

/** What looking for waiting runs takes. */
export type WaitingDeps = Pick<RunDeps, 'list' | 'temporal'> & { readonly pipelines: readonly Pipeline[] };

/**
 * A page of the running runs of the caller that wait for a person, each asked for its waits, those of child runs
 * included: there is no second record of them that could lag behind. A page may have fewer runs than requested although more follow.
 */
export async function waitingRuns(deps: WaitingDeps, caller: Caller, request: ListRequest): Promise<WaitingPage> {
  const { pipeline } = request.filters;
  const asking = deps.pipelines.filter(({ plan }) => asksPeople(plan)).map(({ name }) => name);
  // A pipeline that this gateway does not know may ask too.
  const pipelines = pipeline === undefined ? asking : [pipeline];
  if (pipelines.length === 0) return { runs: [], unknown: [] };
  const filters = { ...request.filters, status: 'running' as const, pipelines };
  const limit = Math.min(request.limit, MOST_ASKED);
  const { runs, nextCursor } = await deps.list.page(caller, { ...request, filters, limit });
  const found: (RunSummary & { readonly waiting: readonly Wait[] })[] = [];
  const unknown: string[] = [];
  for (let i = 0; i < runs.length; i += AT_ONCE) {
    const part = runs.slice(i, i + AT_ONCE);
    const waits = await Promise.all(part.map(({ id }) => waitsOf(deps, id)));
    for (const [k, run] of part.entries()) {
      const waiting = waits[k];
      if (waiting === undefined) unknown.push(run.id);
      else if (waiting.length > 0) found.push({ ...run, waiting });
    }
  }
  return { runs: found, unknown, ...(nextCursor !== undefined && { nextCursor }) };
}

/** Undefined if no worker answers. */
async function waitsOf({ temporal }: WaitingDeps, id: string): Promise<readonly Wait[] | undefined> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      waitingIn({ temporal }, id, undefined, MOST_BYTES),
    );
  } catch {
    return undefined;
  }
}

/** The open waits of the caller's runs, one by one. */
export async function approvals(deps: WaitingDeps, caller: Caller, request: ListRequest): Promise<ApprovalPage> {
  const { runs, unknown, nextCursor } = await waitingRuns(deps, caller, request);
  const all = runs.flatMap(({ id: run, pipeline, waiting }) =>
    waiting.map((wait): Approval => {
      const self = runPath(run);
      return { run, pipeline, ...wait, links: { run: self, approve: `${self}/approve`, reject: `${self}/reject` } };
    }),
  );
  return { approvals: all, unknown, ...(nextCursor !== undefined && { nextCursor }) };
}

import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import type { RunPage, RunStatus, RunSummary } from '../../pipelines/run/document.js';
import { type RateCounter, rateCounter } from '../../stores/rates/index.js';
import { millisecondsOf } from '../../temporal/timestamp.js';
import { type Caller, mayUse } from '../caller.js';
import type { RunParts } from '../deps.js';
import { runPath } from '../document.js';
import { asRunMemo } from '../memo.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from '../orchestrator.js';
import { Cursors } from './cursors.js';
import { PATTERNS } from './request.js';
import type { ListRequest, RunList } from './run-list.js';
import { visibilityQuery } from './visibility-query.js';

/**
 * Questions that one tenant may ask of Temporal's visibility through a gateway: pages of runs, and what belongs to a run that is erased. A frontend of Temporal answers ten such questions of a namespace in
 * a second by default (`frontend.namespaceRPS.visibility`), whoever asks.
 */
const RATE = { perSecond: 5, burst: 10 } as const;

type ListAnswer = Awaited<ReturnType<Client['workflowService']['listWorkflowExecutions']>>;
type Execution = NonNullable<ListAnswer['executions']>[number];
type Payloads = Parameters<Client['options']['loadedDataConverter']['payloadCodecs'][number]['decode']>[0];

interface Parts extends Pick<RunParts, 'temporal' | 'uiUrl'> {
  /** Seals cursors; the same at every gateway. Absent: this process alone knows it. */
  readonly secret?: () => Promise<Buffer>;
}

/**
 * The runs that Temporal's visibility has, by the search attributes and the memo that they carry: one question for each page. A
 * run is there some time after it has started, and its end some time after it has ended; retention ends both.
 */
export class TemporalRunList implements RunList {
  readonly #parts: Parts;
  readonly #cursors: Cursors;
  readonly #rate: RateCounter = rateCounter('lists', RATE, undefined);

  constructor(parts: Parts) {
    this.#parts = parts;
    const own = randomBytes(32);
    this.#cursors = new Cursors(parts.secret ?? (async () => own));
  }

  async page(caller: Caller, { filters, limit, cursor }: ListRequest): Promise<RunPage> {
    const { tenant } = caller;
    const list = { tenant, filters };
    const place = cursor === undefined ? undefined : await this.#cursors.open(list, cursor);
    const { pipeline } = filters;
    // A file of keys, or a token, may name what no pipeline can be called.
    const pipelines = caller.pipelines?.filter((name) => PATTERNS.pipeline.test(name));
    const mayAny = pipeline === undefined ? pipelines?.length !== 0 : mayUse(caller, { name: pipeline });
    if (!mayAny) return { runs: [] };
    await this.turn(tenant);
    const { executions, nextPageToken } = await this.#query({
      query: visibilityQuery({ tenant, pipelines }, filters),
      pageSize: limit,
      ...(place && { nextPageToken: place }),
    });
    const rows = await Promise.all((executions ?? []).map((execution) => this.#rowOf(execution)));
    const runs = rows.filter(
      (row) => row !== undefined && row.tenant === tenant && mayUse(caller, { name: row.pipeline }),
    );
    return {
      runs: runs as RunSummary[],
      ...(nextPageToken?.length && { nextCursor: await this.#cursors.seal(list, nextPageToken) }),
    };
  }

  async turn(tenant: string): Promise<void> {
    try {
      await this.#rate.consume(tenant);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      const message = `the tenant may list or erase runs ${RATE.perSecond} times a second, ${RATE.burst} at once`;
      throw new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.max(1, refused.msBeforeNext) });
    }
  }

  async #query(question: { query: string; pageSize: number; nextPageToken?: Uint8Array }): Promise<ListAnswer> {
    const { temporal } = this.#parts;
    const { namespace } = temporal.options;
    try {
      return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
        temporal.workflow.workflowService.listWorkflowExecutions({ namespace, ...question }),
      );
    } catch (error) {
      throw fromTemporal(error, '');
    }
  }

  /** Undefined for a workflow that no gateway has started. */
  async #rowOf({ execution, memo, status, closeTime }: Execution): Promise<RunSummary | undefined> {
    const known = asRunMemo(await this.#decoded(memo?.fields ?? {}));
    const id = execution?.workflowId;
    if (!known || !id) return undefined;
    const { pipeline, version, tenant, createdAt, resumedFrom } = known;
    const endedMs = closeTime && millisecondsOf(closeTime);
    return {
      id,
      pipeline,
      version,
      tenant,
      ...(resumedFrom !== undefined && { resumedFrom }),
      status: statusOf(status),
      createdAt,
      ...(endedMs && { endedAt: new Date(endedMs).toISOString() }),
      links: { self: runPath(id), ui: this.#parts.uiUrl(id, execution.runId ?? undefined) },
    };
  }

  async #decoded(fields: Readonly<Record<string, Payloads[number]>>): Promise<Record<string, unknown>> {
    const { payloadConverter, payloadCodecs } = this.#parts.temporal.options.loadedDataConverter;
    const names = Object.keys(fields);
    let payloads: Payloads = Object.values(fields);
    for (const codec of [...payloadCodecs].reverse()) payloads = await codec.decode(payloads);
    return Object.fromEntries(
      names.map((name, i) => [name, payloadConverter.fromPayload(payloads[i] as Payloads[number])]),
    );
  }
}

/** Values of temporal.api.enums.v1.WorkflowExecutionStatus, as `outcomeOf` tells the ends of runs; another has not ended. */
const STATUS: Readonly<Record<number, RunStatus>> = {
  2: 'succeeded',
  3: 'failed',
  4: 'cancelled',
  5: 'failed',
  7: 'failed',
};
const statusOf = (status: number | null | undefined): RunStatus => STATUS[status ?? 0] ?? 'running';

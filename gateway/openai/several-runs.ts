import pMap from 'p-map';
import type { RunDocument } from '../../runs/document.js';
import type { Order } from '../../runs/order.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { leaving } from '../http/leaving.js';
import { invalidParam } from './error-body.js';
import { type Exchange, runStreamed, runToEnd, type StreamedRun } from './model-run.js';
import type { Model } from './models.js';

type AtLeastOne<T> = [T, ...T[]];

interface Ends<T> {
  /** Most runs at the same time. */
  readonly atOnce: number;
  /** What is kept of a run that has ended, the i-th of the orders. */
  readonly read: (document: RunDocument, i: number) => T;
}

/**
 * Counts the further runs of a request as requests of its caller. Throws `RATE_LIMITED`, and `INVALID_INPUT` naming the parameter
 * if the caller may never make so many at a time.
 */
export async function chargeRuns(
  { authenticator }: Pick<GatewayDeps, 'authenticator'>,
  caller: Caller,
  { runs, param }: { readonly runs: number; readonly param: string },
): Promise<void> {
  const { rate } = caller;
  if (rate && rate.limit < runs)
    throw invalidParam(param, `takes ${runs} runs, which count as requests, and the ${rate.of} may make ${rate.limit}`);
  await authenticator?.charge(caller, runs - 1);
}

/** The idempotency key of the i-th run of a request. A client's own key has no space. */
export const furtherKey = (key: string | undefined, i: number): string | undefined =>
  key === undefined || i === 0 ? key : `${key} ${i}`;

/**
 * Runs the orders of one request to their ends. The response names the first run. The first failure is thrown, and the others then
 * end as if the client had left.
 */
export async function runsToEnd<T>(
  exchange: Exchange,
  orders: readonly Order[],
  { atOnce, read }: Ends<T>,
): Promise<AtLeastOne<T>> {
  const { own, release } = linkedAbort(leaving(exchange.reply));
  const run = async (order: Order, i: number) =>
    read(await runToEnd({ ...exchange, gone: own.signal, isFurther: i > 0 }, order), i);
  try {
    return (await pMap(orders, run, { concurrency: atOnce })) as AtLeastOne<T>;
  } catch (error) {
    own.abort(error);
    throw error;
  } finally {
    release();
  }
}

export interface StreamedRuns {
  readonly runs: AtLeastOne<StreamedRun>;
  /** Ends those under way as if the client had left. */
  readonly end: () => void;
}

/** Like `runsToEnd`, all at once, with the text of each as it is produced. */
export async function runsStreamed(exchange: Exchange, orders: readonly Order[], model: Model): Promise<StreamedRuns> {
  const { own } = linkedAbort(leaving(exchange.reply));
  const started = orders.map((order, i) =>
    runStreamed({ ...exchange, gone: own.signal, isFurther: i > 0 }, order, model),
  );
  try {
    const runs = (await Promise.all(started)) as AtLeastOne<StreamedRun>;
    return { runs, end: () => own.abort() };
  } catch (error) {
    own.abort(error);
    throw error;
  }
}

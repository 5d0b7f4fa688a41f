import pMap from 'p-map';
import { linkedAbort } from '../../runtime/limited.js';
import type { RunDocument } from '../../runs/document.js';
import type { Order } from '../../runs/order.js';
import { leaving } from '../http/leaving.js';
import { type Exchange, runStreamed, runToEnd, type StreamedRun } from './model-run.js';
import type { Model } from './models.js';

type AtLeastOne<T> = [T, ...T[]];

interface Ends<T> {
  /** Most runs at the same time. */
  readonly atOnce: number;
  /** What is kept of a run that has ended. */
  readonly read: (document: RunDocument) => T;
}

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
    read(await runToEnd({ ...exchange, gone: own.signal, isFurther: i > 0 }, order));
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

import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../figures.js';
import { exchange, outcomeOf, POST } from './exchange.js';

/** Requests per second, independent of answer times: a closed loop would not record the cost of a stall. */
const RATE = 100;
/** Every tenth request waits for a run: ten per second leave most of two cores to the attack. */
const RUN_EVERY = 10;
/** A request without an answer by then counts as lost, in milliseconds. */
const LIMIT_MS = 60_000;
const SOCKETS = 256;

export interface Served {
  /** Milliseconds from a request's due time to the end of its answer. */
  readonly p50: number;
  readonly p99: number;
  /** Unexpected answers, by status. */
  readonly wrong: ReadonlyMap<string, number>;
}

/** Sends this many requests as a tenant that takes no part in the attack. */
export async function bystander(port: number, secret: string, requests: number): Promise<Served> {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
  const wrong = new Map<string, number>();
  const taken: number[] = [];
  const began = performance.now();
  const one = async (n: number, due: number) => {
    const end = AbortSignal.timeout(LIMIT_MS);
    const request = { port, secret, agent, end, from: '127.0.0.1' };
    const isRun = n % RUN_EVERY === 0;
    const status = await (isRun
      ? exchange({ ...request, ...run(n) })
      : exchange({ ...request, path: '/v1/pipelines/echo' })
    )
      .then((answer) =>
        isRun && answer.status === 200 && !answer.text.includes(textOf(n)) ? 'another’s' : outcomeOf(answer),
      )
      .catch((error: unknown) => String(error));
    taken.push(performance.now() - due);
    if (status !== '200') wrong.set(status, (wrong.get(status) ?? 0) + 1);
  };
  const all: Promise<void>[] = [];
  for (let n = 0; n < requests; n++) {
    const due = began + (n * 1_000) / RATE;
    await sleep(Math.max(0, due - performance.now()));
    all.push(one(n, due));
  }
  await Promise.all(all);
  agent.destroy();
  return { p50: percentile(taken, 0.5), p99: percentile(taken, 0.99), wrong };
}

const textOf = (n: number) => `asked-${n}-`;

const run = (n: number) => ({
  path: '/v1/pipelines/echo/runs',
  method: 'POST',
  headers: { ...POST.headers, prefer: 'wait=50' },
  body: JSON.stringify({ text: textOf(n) }),
});

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { status } from '../../deploy/local/stack/index.js';
import { cpuSeconds, residentMb } from '../sse/usage.js';
import type { Doors, Load } from './attack.js';
import type { Answers, AttackerMessage, Order } from './attacker.js';
import { bystander, type Served } from './bystander.js';
import type { Secrets } from './keys.js';
import { settings } from './settings.js';

/** Longest time for an attack to start, or to end after being told to, in milliseconds. */
const LIMIT_MS = 60_000;
const SAMPLE_MS = 100;

export interface Round {
  readonly served: Served;
  readonly answers: Answers;
  /** Peak memory of the gateway, in MiB. */
  readonly gatewayMiB: number;
  /** CPU time of gateway and worker, in seconds; other processes on the machine are not included. */
  readonly cpuS: { readonly gateway: number; readonly worker: number };
}

export interface Sides {
  readonly gateway: Doors;
  readonly stub: Doors;
  readonly secrets: Secrets;
  readonly requests: number;
}

/** The bystander sends requests while the attack runs against the gateway, or in a control round against the stub. */
export async function round({ name }: Load, to: 'gateway' | 'stub', sides: Sides): Promise<Round> {
  const { gateway, secrets, requests } = sides;
  const workerData: Order = { attack: name, doors: sides[to], secrets };
  const attacker = new Worker(new URL('./attacker.js', import.meta.url), { workerData });
  const begun = messageFrom(attacker, (message) => (message === 'begun' ? true : undefined));
  const ended = messageFrom(attacker, (message) => (message === 'begun' ? undefined : message));
  for (const each of [begun, ended]) each.catch(() => undefined);
  let gatewayMiB = gatewayMemory();
  const watch = setInterval(() => {
    gatewayMiB = Math.max(gatewayMiB, gatewayMemory());
  }, SAMPLE_MS);
  try {
    await inTime(begun, `${name} has not begun`);
    const cpuBefore = cpuNow();
    const served = await bystander(gateway.http, secrets.bystander, requests);
    const cpu = cpuNow();
    attacker.postMessage('over');
    const answers = await inTime(ended, `${name} has not ended`);
    const cpuS = { gateway: cpu.gateway - cpuBefore.gateway, worker: cpu.worker - cpuBefore.worker };
    return { served, answers, gatewayMiB, cpuS };
  } finally {
    clearInterval(watch);
    await attacker.terminate();
  }
}

/** The first message of a thread that matches. */
const messageFrom = <T>(thread: Worker, find: (message: AttackerMessage) => T | undefined): Promise<T> =>
  new Promise((resolve, reject) => {
    thread.once('error', reject);
    thread.on('message', (message: AttackerMessage) => {
      const found = find(message);
      if (found !== undefined) resolve(found);
    });
  });

const inTime = <T>(promise: Promise<T>, otherwise: string): Promise<T> =>
  Promise.race([
    promise,
    once(AbortSignal.timeout(LIMIT_MS), 'abort').then((): never => {
      throw new Error(otherwise);
    }),
  ]);

/** The gateway's current memory, in MiB; 0 while it restarts. */
export const gatewayMemory = (): number => of('gateway', residentMb);

const cpuNow = () => ({ gateway: of('gateway', cpuSeconds), worker: of('worker', cpuSeconds) });

function of(part: 'gateway' | 'worker', measure: (pid: number) => number): number {
  const pid = status(settings).parts.find(({ name }) => name === part)?.pid;
  try {
    return pid === undefined ? 0 : measure(pid) || 0;
  } catch {
    return 0; // it has just died
  }
}

/** How often each part of the stack was restarted. */
export const restarts = (): ReadonlyMap<string, number> =>
  new Map(status(settings).parts.map(({ name, restarts: count }) => [name, count]));

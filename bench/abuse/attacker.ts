/** Attacker thread: sends one attack to the given doors until it is told that the round is over. */
import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Doors } from './attack.js';
import { LOADS } from './attacks/index.js';
import type { Secrets } from './keys.js';

export interface Order {
  readonly attack: string;
  readonly doors: Doors;
  readonly secrets: Secrets;
}

/** Messages to the main thread: that the attack is running, and at the end how often each answer occurred. */
export type AttackerMessage = 'begun' | Answers;
/** How often each answer occurred. */
export type Answers = ReadonlyMap<string, number>;

/** Time for requests in flight after the round's end, in milliseconds. */
const GRACE_MS = 20_000;

const { attack, doors, secrets } = workerData as Order;
const answers = new Map<string, number>();
const over = new AbortController();
const end = new AbortController();
// Some thousand requests listen to these signals.
setMaxListeners(0, over.signal, end.signal);
parentPort?.once('message', () => {
  over.abort();
  setTimeout(() => end.abort(), GRACE_MS).unref();
});
const note = (status: string) => {
  if (!end.signal.aborted) answers.set(status, (answers.get(status) ?? 0) + 1);
};
const begun = () => parentPort?.postMessage('begun' satisfies AttackerMessage);
const load = LOADS.find(({ name }) => name === attack);
await load?.run({ doors, secrets, over: over.signal, end: end.signal, note, begun });
parentPort?.postMessage(answers satisfies AttackerMessage);

/** Thread of the servers outside the stack: the stub of control rounds, and the model server. */
import { parentPort } from 'node:worker_threads';
import type { Doors } from './attack.js';
import { openModelServer } from './model-server.js';
import { openStub } from './stub.js';

export interface Outside {
  readonly stub: Doors;
  readonly models: string;
}

parentPort?.postMessage({ stub: await openStub(), models: await openModelServer() } satisfies Outside);

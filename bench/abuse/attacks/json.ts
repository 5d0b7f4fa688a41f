import { Agent } from 'node:http';
import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf, POST } from '../exchange.js';

/** Above Temporal's limit, below the gateway's. */
const BYTES = 3 * 1024 * 1024;

export const largeJson: Load = {
  name: 'large-json',
  about: 'runs whose input is 3 MiB of JSON',
  must: ['413 INPUT_TOO_LARGE'],
  may: ['503 BODY_MEMORY_FULL'],
  async run(context) {
    const { doors, secrets, end } = context;
    const body = JSON.stringify({ text: 'a'.repeat(BYTES) });
    const request = { port: doors.http, path: '/v1/pipelines/echo/runs', secret: secrets.attacker, body, end, ...POST };
    await paced({ everyMs: 200, atOnce: 4, most: 200 }, context, async () => outcomeOf(await exchange(request)));
  },
};

export const readiness: Load = {
  name: 'readyz-flood',
  about: '400 readiness checks per second, without a key',
  must: ['200'],
  async run(context) {
    const { doors, end } = context;
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const request = { port: doors.http, path: '/readyz', end, agent };
    await paced({ everyMs: 2.5, atOnce: 16, most: 20_000 }, context, async () => outcomeOf(await exchange(request)));
    agent.destroy();
  },
};

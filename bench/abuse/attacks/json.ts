import { Agent } from 'node:http';
import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf, POST } from '../exchange.js';

const MEBIBYTE = 1024 * 1024;
/** Above Temporal's limit, below the gateway's. */
const BYTES = 3 * MEBIBYTE;

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

/** A body with one long integer, and numbers without commas between them: it is no JSON. */
export const spacedNumbers: Load = {
  name: 'spaced-numbers',
  about: '70 MiB of numbers with spaces between them to /v2',
  must: ['413 BODY_TOO_LARGE', '400 INVALID_JSON'],
  may: ['503 BODY_MEMORY_FULL'],
  async run(context) {
    const { doors, secrets, end } = context;
    const numbers = (bytes: number) => `{"inputs":[1111111111111111 ${'1 '.repeat(bytes / 2)}`;
    // The first is above what JSON may have outside of strings, the second below it.
    const bodies = [numbers(70 * MEBIBYTE), numbers(7 * MEBIBYTE)];
    const request = { port: doors.http, path: '/v2/models/echo/infer', secret: secrets.attacker, end, ...POST };
    await paced({ everyMs: 500, atOnce: 2, most: 60 }, context, async (n) =>
      outcomeOf(await exchange({ ...request, body: bodies[n % 2] as string })),
    );
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

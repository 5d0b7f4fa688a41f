import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf } from '../exchange.js';

/** The maximum size of a batch. */
const CALLS = 20;

export const batches: Load = {
  name: 'mcp-batches',
  about: 'MCP batches of 20 and of 100 calls with a key for one request a second',
  must: ['429 RATE_LIMITED'],
  may: ['422 INVALID_INPUT'],
  async run(context) {
    const { doors, secrets, end } = context;
    const call = (id: number) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name: 'echo', arguments: { text: 'a' } },
    });
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    await paced({ everyMs: 50, atOnce: 4, most: 1_000 }, context, async (n) => {
      const length = n % 2 === 0 ? CALLS : 5 * CALLS;
      const body = JSON.stringify(Array.from({ length }, (_, id) => call(id)));
      return outcomeOf(
        await exchange({ port: doors.http, path: '/mcp', secret: secrets.slow, method: 'POST', headers, body, end }),
      );
    });
  },
};

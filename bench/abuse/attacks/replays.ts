import { Agent } from 'node:http';
import { type Load, paced } from '../attack.js';
import { exchange, json, outcomeOf, POST } from '../exchange.js';

const AT_ONCE = 100;

export const replays: Load = {
  name: 'replays',
  about: 'the 10,000 events of one run, read from the first on 20 times per second',
  must: ['200'],
  async run(context) {
    const { doors, secrets, over } = context;
    const request = { port: doors.http, secret: secrets.attacker, end: over };
    // The run has ended when its events are read.
    const { id } = json<{ id: string }>(
      await exchange({
        ...request,
        ...POST,
        path: '/v1/pipelines/talkative/runs',
        body: JSON.stringify({ items: 5_000 }),
        headers: { ...POST.headers, prefer: 'wait=50' },
      }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    await paced({ everyMs: 50, atOnce: AT_ONCE, most: 1_000 }, context, async () => {
      try {
        return outcomeOf(await exchange({ ...request, path: `/v1/runs/${id}/events`, agent }));
      } catch (error) {
        if (over.aborted) return undefined; // aborted at the end of the round
        throw error;
      }
    });
    agent.destroy();
  },
};

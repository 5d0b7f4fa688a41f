import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf, POST } from '../exchange.js';

/** Most media of an input. */
const FILES = 1_000;
const FILE_BYTES = 200;
/** Enough to send the body, in milliseconds. */
const STAYS_MS = 100;

export const leavers: Load = {
  name: 'leavers',
  about: 'inputs of 1,000 small files 20 times per second, of clients that leave once they have sent them',
  must: ['left'],
  may: ['503 BODY_MEMORY_FULL'],
  async run(context) {
    const { doors, secrets } = context;
    const fileOf = (n: number) => Buffer.from(String(n).padEnd(FILE_BYTES)).toString('base64');
    const body = JSON.stringify({ files: Array.from({ length: FILES }, (_, n) => ({ base64: fileOf(n) })) });
    const request = { port: doors.http, path: '/v1/pipelines/album/runs', secret: secrets.attacker, body, ...POST };
    await paced({ everyMs: 50, atOnce: 20, most: 1_000 }, context, async () => {
      const end = AbortSignal.timeout(STAYS_MS);
      try {
        return outcomeOf(await exchange({ ...request, end }));
      } catch (error) {
        if (end.aborted) return 'left';
        throw error;
      }
    });
  },
};

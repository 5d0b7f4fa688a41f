import { type Load, paced } from '../attack.js';
import { answerTo, exchange, json, outcomeOf, readAnswer } from '../exchange.js';
import { silence } from './audio.js';

/** 8 MB: more than two hours. */
const RATE = 1_000;
const SAMPLES = 8_000_000;
/** Beyond any file, so that nothing is sent before the whole is converted. */
const BEYOND = 'bytes=9999999999-';

export const storedSamples: Load = {
  name: 'stored-samples',
  about: 'a stored recording of two hours as samples, 32 times at once, half of them from behind its end',
  must: ['200'],
  may: ['429 TOO_MANY_STREAMS'],
  async run(context) {
    const { doors, secrets, over, note, end } = context;
    const to = { port: doors.http, secret: secrets.attacker };
    const headers = { 'content-type': 'audio/wav', prefer: 'wait=30' };
    const body = silence(SAMPLES, RATE);
    const run = await exchange({ ...to, path: '/v1/pipelines/keep/runs', method: 'POST', headers, body, end });
    const path = `/v1/runs/${json<{ id: string }>(run).id}/artifacts/sound?format=pcm`;
    await paced({ everyMs: 50, atOnce: 32, most: 1_000 }, context, async (n) => {
      try {
        const range = n % 2 === 1 ? { headers: { range: BEYOND } } : {};
        const response = await answerTo({ ...to, path, ...range, end: over });
        if (response.statusCode !== 200) return outcomeOf(await readAnswer(response));
        note('200');
        for await (const _ of response); // as fast as it comes
      } catch (error) {
        if (!over.aborted) throw error;
      }
      return undefined;
    });
  },
};

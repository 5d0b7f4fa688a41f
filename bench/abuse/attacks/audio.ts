import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf } from '../exchange.js';
import { QUOTAS } from '../settings.js';

const RATE = 192_000;
/** Eight bits per sample, converted to sixteen: half as much again as a call may write. */
const SAMPLES = (QUOTAS.stageMediaBytes * 3) / 4;

export function silence(samples: number, rate: number): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF');
  head.writeUInt32LE(36 + samples, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples, 40);
  return Buffer.concat([head, Buffer.alloc(samples, 128)]);
}

export const packedAudio: Load = {
  name: 'packed-audio',
  about: 'split of audio whose parts are more than one call may write',
  must: ['422 OUTPUT_BUDGET_EXCEEDED'],
  async run(context) {
    const { doors, secrets, end } = context;
    const body = silence(SAMPLES, RATE);
    const headers = { 'content-type': 'audio/wav', prefer: 'wait=30' };
    const path = '/v1/pipelines/parts/runs';
    await paced({ everyMs: 2_000, atOnce: 2, most: 20 }, context, async () =>
      outcomeOf(
        await exchange({ port: doors.http, path, secret: secrets.attacker, method: 'POST', headers, body, end }),
      ),
    );
  },
};

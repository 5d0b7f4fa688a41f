import { once } from 'node:events';
import { type Load, paced } from '../attack.js';
import { connection, open } from '../call.js';

const CALLS = 64;
/** Of a binary field: sent once, and then as a byte of HPACK each time. */
const valuesIn = (fields: number) => ({ 'x-bin': Array<string>(fields).fill(','.repeat(4_000)) });
/** 60 KB, and as much as the gateway decodes. */
const HEADERS = [valuesIn(15), valuesIn(5)];

export const callHeaders: Load = {
  name: 'call-headers',
  about: '64 gRPC calls without a key ten times a second, with 60,000 and 20,000 values of a binary header in turn',
  must: ['grpc 8 HEADERS_TOO_LARGE', 'grpc reset'],
  may: ['grpc closed'],
  async run(context) {
    let session = connection(context.doors.grpc);
    let connections = 1;
    await paced({ everyMs: 100, atOnce: 4, most: 300 }, context, async (n) => {
      // The gateway ends connections that send too much before they have acknowledged its settings.
      if (session.closed || session.destroyed) {
        session = connection(context.doors.grpc);
        connections += 1;
        // Every other connection acknowledges them first: what is too large is reset there.
        if (connections % 2 === 0) await once(session, 'remoteSettings');
      }
      const calls = Array.from({ length: CALLS }, () => {
        const { stream, answer } = open(session, 'ModelInfer', undefined, HEADERS[n % HEADERS.length]);
        stream.end();
        return answer;
      });
      const [status] = await Promise.all(calls);
      return status;
    });
    session.destroy();
  },
};

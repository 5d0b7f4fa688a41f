import { type Load, paced } from '../attack.js';
import { connection, open } from '../call.js';

const CALLS = 64;
/** Sent once, and then as a byte of HPACK each time: 60,000 values of a field. */
const VALUES = Array<string>(15).fill(','.repeat(4_000));

export const callHeaders: Load = {
  name: 'call-headers',
  about: '64 gRPC calls without a key ten times a second, each with 60,000 values of a binary header',
  must: ['grpc 8 HEADERS_TOO_LARGE'],
  async run(context) {
    const session = connection(context.doors.grpc);
    await paced({ everyMs: 100, atOnce: 4, most: 300 }, context, async () => {
      const calls = Array.from({ length: CALLS }, () => {
        const { stream, answer } = open(session, 'ModelInfer', undefined, { 'x-bin': VALUES });
        stream.end();
        return answer;
      });
      const [status] = await Promise.all(calls);
      return status;
    });
    session.destroy();
  },
};

import { type Load, paced } from '../attack.js';
import { connection, field, open, prefix } from '../call.js';
import { exchange, outcomeOf } from '../exchange.js';

/** A length of zero is four zero bytes: 16.7 million elements in a tensor that declares one. */
const ZEROS = 64 * 1024 * 1024;
const PACE = { everyMs: 750, atOnce: 2, most: 40 };
const FULL = ['grpc 8 BODY_MEMORY_FULL', '503 BODY_MEMORY_FULL', 'grpc closed'];

const rest: Load = {
  name: 'zeros-rest',
  about: 'KServe REST, a BYTES tensor of shape [1] with 64 MiB of zeros',
  must: ['400 INVALID_INPUT'],
  may: FULL,
  async run(context) {
    const { doors, secrets, end } = context;
    const tensor = { name: 'text', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: ZEROS } };
    const head = Buffer.from(JSON.stringify({ inputs: [tensor] }));
    const body = Buffer.concat([head, Buffer.alloc(ZEROS)]);
    const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': head.length };
    const path = '/v2/models/echo/infer';
    await paced(PACE, context, async () =>
      outcomeOf(
        await exchange({ port: doors.http, path, secret: secrets.attacker, method: 'POST', headers, body, end }),
      ),
    );
  },
};

const grpc: Load = {
  name: 'zeros-grpc',
  about: 'the same over gRPC, as raw contents',
  must: ['grpc 3 INVALID_INPUT'],
  may: FULL,
  async run(context) {
    const { doors, secrets, end } = context;
    const shape = field(3, Buffer.from([1]));
    const tensor = field(5, field(1, Buffer.from('text')), field(2, Buffer.from('BYTES')), shape);
    const body = Buffer.concat([field(1, Buffer.from('echo')), tensor, field(7, Buffer.alloc(ZEROS))]);
    const session = connection(doors.grpc);
    end.addEventListener('abort', () => session.destroy());
    await paced(PACE, context, async () => {
      const { stream, answer } = open(session, 'ModelInfer', secrets.attacker);
      stream.write(prefix(body.length));
      stream.end(body);
      return await answer;
    });
    session.destroy();
  },
};

export const zeros: readonly Load[] = [rest, grpc];

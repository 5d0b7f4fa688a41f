import type { AttackContext, Load } from '../attack.js';
import { paced } from '../attack.js';
import { connection, field, open, prefix } from '../call.js';

const MEBIBYTE = 1024 * 1024;
/** `bytes_contents`, field 8 with a length: an empty element takes two bytes. */
const EMPTY_ELEMENT = Buffer.from([0x42, 0]);
const BYTES = 70 * MEBIBYTE;

/** A ModelInfer with 36 million empty elements. */
function message(): Buffer {
  const contents = field(5, Buffer.alloc(BYTES, EMPTY_ELEMENT));
  const input = field(5, field(1, Buffer.from('text')), field(2, Buffer.from('BYTES')), contents);
  return Buffer.concat([field(1, Buffer.from('echo')), input]);
}

const sends = (whose: 'measurer' | 'attacker') => async (context: AttackContext) => {
  const { doors, secrets, end } = context;
  const body = message();
  const session = connection(doors.grpc);
  end.addEventListener('abort', () => session.destroy());
  await paced({ everyMs: 500, atOnce: 2, most: 60 }, context, async () => {
    const { stream, answer } = open(session, 'ModelInfer', secrets[whose]);
    stream.write(prefix(body.length));
    stream.end(body);
    return await answer;
  });
  session.destroy();
};

export const emptyElements: readonly Load[] = [
  {
    name: 'empty-elements-without-permission',
    about: 'gRPC ModelInfer, 70 MiB of empty elements, with a key that has only "metrics"',
    must: ['grpc 7 FORBIDDEN'],
    may: ['grpc closed'],
    run: sends('measurer'),
  },
  {
    name: 'empty-elements',
    about: 'the same with a key that may run',
    must: ['grpc 3 INVALID_INPUT'],
    may: ['grpc 8 BODY_MEMORY_FULL', 'grpc closed'],
    run: sends('attacker'),
  },
];

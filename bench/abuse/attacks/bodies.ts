import { connect } from 'node:net';
import { type AttackContext, type Load, paced, pause } from '../attack.js';
import { connection, open, prefix } from '../call.js';

const MEBIBYTE = 1024 * 1024;
/**
 * Announced size, the largest message allowed, and what is actually sent of it: sending all at once would fill any
 * memory.
 */
const ANNOUNCED = 70 * MEBIBYTE;
const SENT = Buffer.alloc(4 * MEBIBYTE);
const CALLS = 256;
const REQUESTS = 64;
/** How long the connections are held, in milliseconds. */
const HELD_MS = 3_000;
const PACE = { everyMs: HELD_MS + 500, atOnce: 1, most: 8 };

/** Connections still held at the end get no answer. */
const grpc = async ({ doors, secrets, over, note }: AttackContext): Promise<undefined> => {
  const session = connection(doors.grpc);
  let givenUp = false;
  for (let i = 0; i < CALLS; i++) {
    const { stream, answer } = open(session, 'ModelInfer', secrets.attacker);
    void answer.then((status) => {
      if (!givenUp) note(status);
    });
    stream.write(prefix(ANNOUNCED));
    stream.write(SENT);
  }
  await pause(HELD_MS, over);
  givenUp = true;
  session.destroy();
  return undefined;
};

const rest = async ({ doors, secrets, over, note }: AttackContext): Promise<undefined> => {
  const head = [
    'POST /v2/models/echo/infer HTTP/1.1',
    'Host: 127.0.0.1',
    `Authorization: Bearer ${secrets.attacker}`,
    'Content-Type: application/octet-stream',
    `Content-Length: ${ANNOUNCED}`,
  ];
  const sockets = Array.from({ length: REQUESTS }, () => {
    const socket = connect({ port: doors.http, host: '127.0.0.1', localAddress: '127.0.0.2' });
    let answer = '';
    socket
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        answer += chunk.toString('latin1');
      });
    socket.once('close', () => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
      const code = /"code":"(\w+)"/.exec(answer)?.[1];
      if (status !== undefined) note(code === undefined ? status : `${status} ${code}`);
    });
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(SENT);
    return socket;
  });
  await pause(HELD_MS, over);
  for (const socket of sockets) socket.destroy();
  return undefined;
};

export const largeBodies: readonly Load[] = [
  {
    name: 'large-calls',
    about: '256 gRPC calls on one connection, each of 70 MiB',
    must: ['grpc 8 BODY_MEMORY_FULL'],
    may: ['grpc closed'],
    run: (context) => paced(PACE, context, () => grpc(context)),
  },
  {
    name: 'large-bodies',
    about: '64 requests to /v2, each of 70 MiB',
    must: ['503 BODY_MEMORY_FULL'],
    run: (context) => paced(PACE, context, () => rest(context)),
  },
];

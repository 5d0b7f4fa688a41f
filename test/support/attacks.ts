import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where attacks go and, of the many addresses of loopback, which one they come from. */
export interface Target {
  readonly port: number;
  readonly from: string;
}

/** How often each status came back; `closed`: connections that ended without an answer. */
export type Answers = Readonly<Record<string, number>>;

class Tally {
  readonly counts: Record<string, number> = {};
  add(what: string, count = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + count;
  }
}

function open({ port, from }: Target): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => undefined);
  socket.setNoDelay(true);
  return socket;
}

/** Statuses of the answers on a connection until it ends, or until so many have come. */
async function answersOn(socket: Socket, tally: Tally, most = Number.POSITIVE_INFINITY): Promise<void> {
  let seen = 0;
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    // The start of a status line may be cut in two.
    const text = rest + chunk.toString('latin1');
    for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      tally.add(status as string);
      seen += 1;
    }
    rest = text.slice(-12).replace(/HTTP\/1\.1 \d{3} .*/s, '');
    if (seen >= most) socket.destroy();
  });
  await once(socket, 'close').catch(() => undefined);
  if (seen === 0) tally.add('closed');
}

/** Requests with keys that are none, on so many connections, the next when the one before is answered. */
export async function wrongKeys(target: Target, count: number, connections: number): Promise<Answers> {
  const tally = new Tally();
  let sent = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = open(target);
      const next = () => {
        if (sent >= count) return socket.destroy();
        sent += 1;
        return socket.write(
          `GET /v1/pipelines HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer millrace_wrong-${sent}\r\n\r\n`,
        );
      };
      socket.once('connect', next);
      socket.on('data', next);
      await answersOn(socket, tally);
    }),
  );
  return tally.counts;
}

/** The same, but nobody waits for answers: a thousand requests at once on each connection. */
export async function pipelinedKeys(target: Target, connections: number): Promise<Answers> {
  const tally = new Tally();
  const one = 'GET /v1/pipelines HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer millrace_wrong\r\n\r\n';
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = open(target);
      socket.write(one.repeat(1_000));
      await answersOn(socket, tally);
    }),
  );
  return tally.counts;
}

const headOf = (secret: string, more: string, pipeline = 'gated') =>
  `POST /v1/pipelines/${pipeline}/runs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${secret}\r\nContent-Type: application/json\r\n${more}\r\n`;

/** Bodies that are announced as a terabyte, and ones that announce nothing and go on and on. */
export async function oversizeBodies(target: Target, secret: string, count: number, bytes: number): Promise<Answers> {
  const tally = new Tally();
  const chunk = Buffer.alloc(65_536, 'x');
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const socket = open(target);
      const answers = answersOn(socket, tally, 1);
      if (i % 2 === 0) socket.write(headOf(secret, 'Content-Length: 1000000000000\r\n'));
      else {
        socket.write(headOf(secret, 'Transfer-Encoding: chunked\r\n'));
        for (let sent = 0; sent < bytes && !socket.destroyed; sent += chunk.length) {
          socket.write(`${chunk.length.toString(16)}\r\n`);
          socket.write(chunk);
          if (!socket.write('\r\n')) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
        }
      }
      await answers;
    }),
  );
  return tally.counts;
}

/** Bodies of which a byte comes now and then. */
export async function slowBodies(target: Target, secret: string, count: number): Promise<Answers> {
  const tally = new Tally();
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = open(target);
      const answers = answersOn(socket, tally, 1);
      socket.write(
        headOf(secret, 'Content-Length: 100000\r\n', 'pass-through').replace('application/json', 'audio/wav'),
      );
      await drip(socket, '{');
      await answers;
    }),
  );
  return tally.counts;
}

/** Header fields without number, one header without end, and headers that never end, in turn. */
export async function headerFloods(target: Target, count: number): Promise<Answers> {
  const tally = new Tally();
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const socket = open(target);
      const answers = answersOn(socket, tally, 1);
      socket.write('GET /v1/pipelines HTTP/1.1\r\nHost: a\r\n');
      if (i % 3 === 0) socket.write(`${Array.from({ length: 1_000 }, (_, n) => `h${n}: x\r\n`).join('')}\r\n`);
      else if (i % 3 === 1) socket.write(`h: ${'x'.repeat(64_000)}\r\n\r\n`);
      else await drip(socket, 'h: x\r\n');
      await answers;
    }),
  );
  return tally.counts;
}

async function drip(socket: Socket, text: string): Promise<void> {
  while (!socket.destroyed && socket.writable) {
    socket.write(text);
    await sleep(150);
  }
}

/** Connections on which nothing is said. Ends when all have been closed by the other side. */
export async function idleConnections(target: Target, count: number): Promise<Answers> {
  const tally = new Tally();
  await Promise.all(Array.from({ length: count }, () => answersOn(open(target), tally)));
  return tally.counts;
}

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createRedis } from '../../../../stores/redis/index.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/**
 * Speaks as much of Redis' protocol as the tests need; a fake, because a server that is slow just when it has come back
 * cannot be provoked.
 * @param answered what is written for a command that is no greeting, on a connection from 1
 * @param greeted called when a connection may send anything but its greeting
 */
async function fakeRedis(
  answered: (command: string, connection: number) => string | undefined,
  greeted: (connection: number) => void = () => undefined,
) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const [command] of bytes
        .toString()
        .toLowerCase()
        .matchAll(/(?<=\r\n)(hello|info|client|subscribe|set)(?=\r\n)/g)) {
        if (command === 'hello') socket.write('%1\r\n$5\r\nproto\r\n:3\r\n');
        else if (command === 'info') {
          greeted(connection);
          socket.write('$9\r\nloading:0\r\n');
        } else if (command === 'client') socket.write('+OK\r\n');
        else {
          const answer = answered(command, connection);
          if (answer !== undefined) socket.write(answer);
        }
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

describe('a connection to Redis', () => {
  it('is not subscribed again behind its user’s back: a slow answer would end the process', async () => {
    const subscriptions: number[] = [];
    const server = await fakeRedis(
      (_, connection) => {
        subscriptions.push(connection);
        return connection === 1 ? '>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n' : undefined;
      },
      (connection) => {
        // Short for subscriptions alone: where the machine stands still, the greetings must not be given up too.
        if (connection === 2) redis.options.commandTimeout = 50;
      },
    );
    const redis = createRedis({ url: server.url, timeoutMs: 30_000, logger: pino({ level: 'silent' }) });
    closing.push(() => redis.disconnect());
    const rejections: unknown[] = [];
    const note = (error: unknown) => void rejections.push(error);
    process.on('unhandledRejection', note);
    closing.push(() => process.off('unhandledRejection', note));
    await once(redis, 'ready');
    await redis.subscribe('c');
    server.sockets[0]?.destroy();
    await once(redis, 'ready');
    // Its user subscribes, and is told that there is no answer.
    await expect(redis.subscribe('c')).rejects.toThrow('timed out');
    await sleep(0);
    // The server may read it after the time of the answer.
    await expect.poll(() => subscriptions).toEqual([1, 2]);
    expect(rejections).toEqual([]);
  });
  it('leaves a server that has become a replica for the one that its address leads to', async () => {
    const server = await fakeRedis((_, connection) =>
      connection === 2 ? '+OK\r\n' : "-READONLY You can't write against a read only replica.\r\n",
    );
    const redis = createRedis({ url: server.url, timeoutMs: 30_000, logger: pino({ level: 'silent' }) });
    closing.push(() => redis.disconnect());
    await once(redis, 'ready');
    const back = once(redis, 'ready');
    await expect(redis.set('k', 'v')).rejects.toThrow('READONLY');
    await back;
    expect(await redis.set('k', 'v')).toBe('OK');
    expect(server.sockets).toHaveLength(2);
  });
});

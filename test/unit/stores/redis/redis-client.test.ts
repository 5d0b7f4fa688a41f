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
 * Speaks as much of Redis' protocol as a subscriber needs; a fake, because a server that is slow just when it has come
 * back cannot be provoked. Only on its first connection are subscriptions answered.
 * @param back called when the client has come back, before it may send anything but its greeting
 */
async function slowWhenBack(back: () => void) {
  const subscriptions: number[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const [command] of bytes
        .toString()
        .toLowerCase()
        .matchAll(/(?<=\r\n)(hello|info|client|subscribe)(?=\r\n)/g)) {
        if (command === 'hello') socket.write('%1\r\n$5\r\nproto\r\n:3\r\n');
        else if (command === 'info') {
          if (connection === 2) back();
          socket.write('$9\r\nloading:0\r\n');
        } else if (command === 'client') socket.write('+OK\r\n');
        else {
          subscriptions.push(connection);
          if (connection === 1) socket.write('>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n');
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
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, subscriptions, sockets };
}

describe('a connection to Redis', () => {
  it('is not subscribed again behind its user’s back: a slow answer would end the process', async () => {
    // Short for subscriptions alone: where the machine stands still, the greetings must not be given up too.
    const server = await slowWhenBack(() => {
      redis.options.commandTimeout = 50;
    });
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
    await expect.poll(() => server.subscriptions).toEqual([1, 2]);
    expect(rejections).toEqual([]);
  });
});

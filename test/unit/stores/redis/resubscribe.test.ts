import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { createRedis } from '../../../../stores/redis/index.js';
import { recordingLogger } from '../../../support/caches.js';

/** Answers what a client says to make a connection, and subscriptions only on the first one: then it is too slow. */
class SlowRedis {
  readonly #sockets = new Set<Socket>();
  connections = 0;
  /** Subscriptions on the second connection and later. */
  late = 0;
  readonly #server = net.createServer((socket) => {
    this.#sockets.add(socket);
    const first = this.connections++ === 0;
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    socket.on('data', (data) => {
      for (const command of data.toString().split(/(?=\*\d+\r\n\$)/)) {
        const [name = '', argument = ''] = command
          .split('\r\n')
          .filter((part) => part !== '' && !/^[*$]\d+$/.test(part));
        if (name.toLowerCase() === 'info') socket.write('$21\r\nredis_version:8.0.0\r\n\r\n');
        else if (name.toLowerCase() === 'hello') socket.write("-ERR unknown command 'HELLO'\r\n");
        else if (name.toLowerCase() !== 'subscribe') socket.write('+OK\r\n');
        else if (first) socket.write(`*3\r\n$9\r\nsubscribe\r\n$${argument.length}\r\n${argument}\r\n:1\r\n`);
        else this.late += 1;
      }
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

const server = new SlowRedis();
afterAll(() => server.close());

it('rejects nothing that nobody awaits when the connection is made anew while the server is slow (a stub server)', async () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', note);
  const redis = createRedis({ url: await server.listen(), timeoutMs: 100, logger: recordingLogger().logger });
  await once(redis, 'ready');
  await redis.subscribe('channel');
  const again = once(redis, 'ready');
  server.cut();
  await again;
  // Longer than the limit of a command.
  await new Promise((resolve) => setTimeout(resolve, 300));
  redis.disconnect();
  process.off('unhandledRejection', note);
  expect(rejections).toEqual([]);
  expect(server.connections).toBe(2);
  expect(server.late).toBe(0);
});

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { RunDocument } from '../../../../runs/document.js';
import { freePort } from '../../../support/free-port.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** Linux shows the timers of connections there. */
const CONNECTIONS = '/proc/net/tcp';
/** A timer that asks whether the peer is still there. */
const PROBE = '02';

let gateway: TestGateway;
const open: net.Socket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await gateway?.close();
});

async function connected(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  open.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** The timers of the connections that a port has accepted. */
function timersOf(port: number): readonly string[] {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync(CONNECTIONS, 'utf8').split('\n').slice(1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const established = '01';
  return fields
    .filter(([, at, , state]) => at === local && state === established)
    .map((row) => row[5]?.slice(0, 2) ?? '');
}

describe('a client that has vanished', () => {
  test.runIf(existsSync(CONNECTIONS))('is noticed by TCP, at both listeners', async () => {
    const port = await freePort();
    gateway = await testGateway({}, { pipelines: [greet], grpc: { host: '127.0.0.1', port } });
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const { port: httpPort } = gateway.app.server.address() as AddressInfo;
    for (const each of [httpPort, port]) {
      await connected(each);
      await expect.poll(() => timersOf(each)).toEqual([PROBE]);
    }
  });

  test('or reads no more gives its place among those who follow runs to another one', async () => {
    let made = 0;
    const json = JSON.stringify({ type: 'stage.delta', stage: 'a', path: 'a', attempt: 1, text: 'x'.repeat(8_000) });
    gateway = await testGateway(
      { maxStreamsOfTenant: 1, stalledMs: 3_000 },
      {
        pipelines: [greet],
        events: {
          async *follow(_run, _after, signal) {
            while (!signal.aborted) {
              made += 1;
              yield { id: `${made}-0`, event: JSON.parse(json) as never, json };
            }
          },
        },
      },
    );
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = gateway.app.server.address() as AddressInfo;
    const headers = { 'content-type': 'application/json' };
    const base = `http://127.0.0.1:${port}`;
    const start = await fetch(`${base}/v1/pipelines/greet/runs`, { method: 'POST', headers, body: '{"name": "Ada"}' });
    const { id } = (await start.json()) as RunDocument;
    const follow = async () => {
      const end = new AbortController();
      const { status } = await fetch(`${base}/v1/runs/${id}/events`, { signal: end.signal });
      end.abort();
      return status;
    };
    const socket = await connected(port);
    socket.pause().write(`GET /v1/runs/${id}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
    await expect.poll(() => made).toBeGreaterThan(0);
    expect(await follow()).toBe(429);
    // No more is made than the connection takes.
    expect(made * json.length).toBeLessThan(64 * 1024 * 1024);
    await expect.poll(follow, { timeout: 20_000 }).toBe(200);
  }, 30_000);
});

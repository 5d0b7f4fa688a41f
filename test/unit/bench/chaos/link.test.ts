import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Link } from '../../../../bench/chaos/link.js';
import { freePort } from '../../../support/free-port.js';

let server: Server;
let link: Link;
let port: number;
const clients: Socket[] = [];
beforeEach(async () => {
  server = createServer((socket) => void socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = await freePort();
  link = await Link.open({ port, target: (server.address() as AddressInfo).port });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  link.close();
  server.close();
});

/** A client, and all that it has heard. */
function client() {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  clients.push(socket);
  const said = { text: '' };
  socket.on('data', (chunk) => {
    said.text += chunk.toString();
  });
  return { socket, received: () => said.text };
}

it('passes what is said, both ways', async () => {
  const { socket, received } = client();
  socket.write('hello');
  await expect.poll(received).toBe('hello');
});

it('is silent while it is cut, and gives everything afterwards, also to those who came meanwhile', async () => {
  const before = client();
  before.socket.write('a');
  await expect.poll(before.received).toBe('a');
  link.cut('silent');
  before.socket.write('b');
  const meanwhile = client();
  meanwhile.socket.write('c');
  await sleep(100); // nothing tells that nothing comes
  expect([before.received(), meanwhile.received()]).toEqual(['a', '']);
  link.mend();
  await expect.poll(() => [before.received(), meanwhile.received()]).toEqual(['ab', 'c']);
});

it('resets and refuses while it is cut off, and lets in again', async () => {
  const before = client();
  before.socket.write('a');
  await expect.poll(before.received).toBe('a');
  link.cut('refused');
  await expect.poll(() => before.socket.closed).toBe(true);
  const meanwhile = client();
  await expect.poll(() => meanwhile.socket.closed).toBe(true);
  link.mend();
  const after = client();
  after.socket.write('b');
  await expect.poll(after.received).toBe('b');
});

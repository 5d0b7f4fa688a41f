import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const AGAIN_MS = 20;
const MOST_TRIES = 250;

/**
 * Has a server listen, and returns its port. A port stays in use for some milliseconds after its server has closed where another thread of the
 * tests starts a process meanwhile: until that runs its program it has a copy of every socket. So it is tried again for five seconds.
 */
export async function listenAt(server: Server, port: number, host = '127.0.0.1'): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    server.listen(port, host);
    try {
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === MOST_TRIES) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

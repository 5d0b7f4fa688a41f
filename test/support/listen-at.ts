import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const AGAIN_MS = 20;
const MOST_TRIES = 250;

/**
 * Binds a port that a server of this process may just have had. It stays in use for some milliseconds more where another thread of the tests starts a
 * process meanwhile: until that runs its program it has a copy of every socket. So it is tried again for five seconds.
 */
export async function whenFree<T>(bind: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await bind();
    } catch (error) {
      if (!String(error).includes('EADDRINUSE') || tries === MOST_TRIES) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** Has a server listen, as `whenFree` does, and returns its port. */
export const listenAt = (server: Server, port: number, host = '127.0.0.1'): Promise<number> =>
  whenFree(async () => {
    server.listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  });

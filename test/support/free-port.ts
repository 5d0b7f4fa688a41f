import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Ports below those that Linux gives to connections and to servers that ask for any port (32768 and above), and above those
 * of the stacks: a test may bind what it got here seconds later, and nobody else is given it meanwhile.
 */
const [FIRST, BEHIND_LAST] = [20_000, 32_000];
/**
 * Each process of the tests hands out ports of a share of its own: a server binds its port seconds after it was found
 * free, and another process must not find it free meanwhile.
 */
const SHARES = 4;
const SHARE = (BEHIND_LAST - FIRST) / SHARES;
/** What this process has handed out. */
const given = new Set<number>();

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const first = FIRST + SHARE * (Number(process.env.VITEST_POOL_ID ?? 0) % SHARES);
    const port = randomInt(first, first + SHARE);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

/** Asked without a server, whose port would be in use for some milliseconds more where a process is started meanwhile. */
async function isFree(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

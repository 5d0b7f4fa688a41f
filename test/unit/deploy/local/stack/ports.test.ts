import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isFree, listenerOf, requireFreePorts } from '../../../../../deploy/local/stack/ports.js';
import { freePort } from '../../../../support/free-port.js';

const server = createServer();
afterEach(() => server.close());

async function takenPort(): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

describe('ports', () => {
  it('names a taken port, who holds it and the setting that moves it', async () => {
    const port = await takenPort();
    expect(await isFree(port)).toBe(false);
    expect(listenerOf(port)?.pid).toBe(process.pid);
    const spec = { name: 'redis' as const, ports: [{ port, setting: 'MILLRACE_REDIS_PORT' }] };
    await expect(requireFreePorts([spec])).rejects.toMatchObject({
      code: 'STACK_PORT_IN_USE',
      message: expect.stringMatching(
        new RegExp(`port ${port} of redis is in use by pid ${process.pid}.*MILLRACE_REDIS_PORT.*MILLRACE_PORT_BASE`),
      ),
      details: { fields: [{ field: 'MILLRACE_REDIS_PORT' }] },
    });
  });

  it('refuses one port for two parts, and accepts free ones', async () => {
    const port = await freePort();
    const redis = { name: 'redis' as const, ports: [{ port, setting: 'MILLRACE_REDIS_PORT' }] };
    const llm = { name: 'llm' as const, ports: [{ port, setting: 'MILLRACE_LLM_PORT' }] };
    await expect(requireFreePorts([redis])).resolves.toBeUndefined();
    await expect(requireFreePorts([redis, llm])).rejects.toMatchObject({
      message: expect.stringContaining('also used by MILLRACE_REDIS_PORT'),
    });
  });
});

import { Connection } from '@temporalio/client';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { Trouble } from './causes.js';
import { channelArgs, reachOptions, type TemporalServer } from './options.js';
import { troubleOf } from './trouble.js';

/**
 * Timeout of the first response, in milliseconds: it takes milliseconds, with a TLS handshake across an ocean less than
 * a second.
 */
export const CONNECT_MS = 3_000;

/**
 * How long connecting is retried if the server does not respond in time and a probe finds no other fault, in milliseconds. The last try may begin just
 * before, and take twenty seconds with its probes.
 */
const PATIENCE_MS = 12_000;

const START = 'start it (the embedded one by "millrace up"), or correct TEMPORAL_ADDRESS';

/**
 * A connection that is opened at the first call, and again after each loss. `retries: false` disables the SDK’s own
 * retries: a call then fails at once if no server is there.
 * Throws `INVALID_SETTING` if certificates or keys cannot be read.
 */
export const lazyConnection = (server: TemporalServer, { retries = true } = {}): Connection =>
  Connection.lazy({
    ...reachOptions(server),
    ...channelArgs(server.TEMPORAL_ADDRESS),
    connectTimeout: CONNECT_MS,
    ...(!retries && { interceptors: [] }),
  });

/** An established connection for clients. Throws `ORCHESTRATOR_UNAVAILABLE` with the cause, `INVALID_SETTING`. */
export async function connectClient(server: TemporalServer): Promise<Connection> {
  return await patiently(server, async () => {
    const connection = lazyConnection(server);
    try {
      await connection.ensureConnected();
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  });
}

/** Connects; retries while a probe finds no fault but silence: the server, or this machine, may only be slow. */
export async function patiently<T>(server: TemporalServer, connect: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; ; ) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      const trouble = await troubleOf(server);
      if ((!trouble || trouble.isSilent) && performance.now() < end) continue;
      throw unreachable(server, trouble ?? { cause: messageOf(error) }, error);
    }
  }
}

/** The cause of an unreachable server as an error for the operator. */
export function unreachable(
  { TEMPORAL_ADDRESS: address }: TemporalServer,
  { cause, remedy = START }: Trouble,
  thrown?: unknown,
): MillraceError {
  const message = `Temporal cannot be used at ${address}: ${cause}; ${remedy}`;
  return new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: thrown });
}

import { Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { limited } from '../runtime/limited.js';
import type { Trouble } from './causes.js';
import { channelArgs, reachOptions, type TemporalServer } from './options.js';
import { troubleOf } from './trouble.js';

/** Longest wait for the first answer: it takes milliseconds, with a TLS handshake over an ocean less than a second. */
export const CONNECT_MS = 3_000;

/** How long a server is tried that looks sound and does not answer in time. */
const PATIENCE_MS = 12_000;

const START = 'start it (the embedded one by "millrace up"), or correct TEMPORAL_ADDRESS';

/**
 * A connection that is made at the first call, and again after each loss. `retries: false` leaves the SDK’s own away: a call then
 * fails at once when nobody is there.
 * Throws `INVALID_SETTING` when certificates or keys cannot be read.
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

/** An established connection for workers. Throws `ORCHESTRATOR_UNAVAILABLE` with the cause, `INVALID_SETTING`. */
export async function connectWorker(server: TemporalServer): Promise<NativeConnection> {
  const options = reachOptions(server);
  return await patiently(server, async () => {
    const connecting = NativeConnection.connect(options);
    try {
      // The native client has no timeout for a server that accepts the connection and does not answer.
      return await limited(CONNECT_MS, new AbortController().signal, () => connecting);
    } catch (error) {
      void connecting.then((late) => late.close()).catch(() => undefined);
      throw error;
    }
  });
}

/** Connects; tries again while a probe finds nothing wrong: the server, or this machine, is only slow. */
async function patiently<T>(server: TemporalServer, connect: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; ; ) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      const trouble = await troubleOf(server);
      if (!trouble && performance.now() < end) continue;
      throw unreachable(server, trouble ?? { cause: messageOf(error) }, error);
    }
  }
}

/** What keeps a server from being used, as an error for its operator. */
export function unreachable(
  { TEMPORAL_ADDRESS: address }: TemporalServer,
  { cause, remedy = START }: Trouble,
  thrown?: unknown,
): MillraceError {
  const message = `Temporal cannot be used at ${address}: ${cause}; ${remedy}`;
  return new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: thrown });
}

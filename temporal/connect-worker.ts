import { NativeConnection } from '@temporalio/worker';
import { limited } from '../runtime/limited.js';
import { CONNECT_MS, patiently } from './connect.js';
import { reachOptions, type TemporalServer } from './options.js';

/** An established connection for workers. Throws `ORCHESTRATOR_UNAVAILABLE` with the cause, `INVALID_SETTING`. */
export async function connectWorker(server: TemporalServer): Promise<NativeConnection> {
  const options = reachOptions(server);
  return await patiently(server, async () => {
    const connecting = NativeConnection.connect(options);
    try {
      // The native client has no timeout for a server that accepts the connection but does not respond.
      return await limited(CONNECT_MS, new AbortController().signal, () => connecting);
    } catch (error) {
      void connecting.then((late) => late.close()).catch(() => undefined);
      throw error;
    }
  });
}

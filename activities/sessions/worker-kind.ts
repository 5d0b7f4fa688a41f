import type { Json, JsonObject } from '../../pipelines/json.js';
import type { SessionPart, SessionStore } from '../../stores/sessions/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';

/** Stage kind for an agent's reads and writes of its session. */
export const sessionKind =
  (store: SessionStore): WorkerKind =>
  async ({ with: options, input, tenant }, { idempotencyKey }) => {
    const { session, of, part } = input as unknown as {
      session: string;
      of: string;
      part?: Pick<SessionPart, 'messages' | 'summary'>;
    };
    if (!part) return (await store.load({ tenant, of, session })) as unknown as Json as JsonObject;
    await store.add({ tenant, of, session }, { ...part, ttlMs: Number(options.ttlMs), key: idempotencyKey });
    return { messages: [], parts: 0 };
  };

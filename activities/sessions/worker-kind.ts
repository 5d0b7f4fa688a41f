import type { Json, JsonObject } from '../../pipelines/json.js';
import type { SessionGrant } from '../../pipelines/run/index.js';
import type { SessionPart, SessionStore } from '../../stores/sessions/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';

const NOTHING: JsonObject = { messages: [], parts: 0 };

/** Stage kind for an agent's reads and writes of its session. */
export const sessionKind =
  (store: Pick<SessionStore, 'load' | 'add' | 'granted' | 'grant'>): WorkerKind =>
  async ({ with: options, input, tenant }, { idempotencyKey }) => {
    const { session, of, part, granted, grant } = input as unknown as {
      session: string;
      of: string;
      part?: Pick<SessionPart, 'messages' | 'wholes' | 'summary'>;
      /** What an approval is looked for. */
      granted?: string;
      grant?: SessionGrant & { readonly of: string };
    };
    const name = { tenant, of, session };
    const ttlMs = Number(options.ttlMs);
    if (granted !== undefined) {
      const found = await store.granted(name, granted);
      return { ...NOTHING, ...(found && { grant: found as unknown as Json }) };
    }
    if (grant) {
      const { of: what, ...given } = grant;
      await store.grant(name, what, given, ttlMs);
      return NOTHING;
    }
    // Workers of an earlier release keep no long results, and say nothing of them.
    if (!part) return { wholes: {}, ...(await store.load(name)) } as unknown as Json as JsonObject;
    await store.add(name, { ...part, ttlMs, key: idempotencyKey });
    return NOTHING;
  };

import type { Redis } from 'ioredis';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { RedisRecords, type Spill } from '../../../../stores/records/index.js';

/** Records over hashes in memory. What scripts decide on a server is for the integration tests: here each writes what it is given. */
export function recording() {
  const all = new Map<string, Map<string, string>>();
  const hashAt = (key: string): Map<string, string> => {
    const found = all.get(key) ?? new Map<string, string>();
    all.set(key, found);
    return found;
  };
  async function script(_keys: number, key: string, ...args: readonly string[]): Promise<number> {
    const [first = '', text = '', path = '', succeeded = ''] = args;
    // `keep` has nine arguments, `hold` three and JSON first, which `addGaps` has not, `keepOn` one.
    const hash = hashAt(key);
    if (args.length > 3) hash.set(first, text).set(path, succeeded || (hash.get(path) ?? ''));
    else if (args.length === 3 && String(first).startsWith('{')) hash.set('@held', first);
    return args.length > 3 || hash.has('@held') ? 1 : 0;
  }
  const redis: Record<string, unknown> = {
    hmget: async (key: string, ...fields: readonly string[]) => fields.map((field) => hashAt(key).get(field) ?? null),
    hgetall: async (key: string) => Object.fromEntries(hashAt(key)),
    hget: async (key: string, field: string) => hashAt(key).get(field) ?? null,
    defineCommand: (name: string) => {
      redis[name] = script;
    },
  };
  const files = new Map<string, Buffer>();
  /** What the artifact store does before it is read or written. */
  const store: { read: () => unknown; write: () => unknown } = { read: () => undefined, write: () => undefined };
  const spill: Spill = {
    async put(tenant, parts) {
      await store.write();
      const uri = `artifact://${tenant}/${files.size}`;
      files.set(uri, Buffer.concat(parts));
      return uri;
    },
    async get(_, uri) {
      await store.read();
      const bytes = files.get(uri);
      if (bytes === undefined) throw new MillraceError('ARTIFACT_NOT_FOUND', uri);
      return bytes;
    },
  };
  const gaps: unknown[] = [];
  const records = new RedisRecords({
    redis: redis as unknown as Redis,
    spill,
    keptMs: 60_000,
    onGap: (error) => gaps.push(error),
  });
  return { records, redis, hashAt, files, store, gaps };
}

export const callOf = (more: Partial<StageCall> = {}): StageCall => ({
  pipeline: 'test',
  version: '0123456789ab',
  tenant: 'default',
  stage: 'pay',
  kind: 'code',
  model: 'pay',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
  runMs: 3_600_000,
  ...more,
});

/** A call that has ended. @param result its output, or the code of its failure */
export const ended = (run: string, call: StageCall, input: JsonObject, result: JsonObject | string) => ({
  ...{ run, call, input, attempt: 1, startedAt: 1, endedAt: 2 },
  result:
    typeof result === 'string'
      ? { failure: { code: result, message: 'no' } }
      : {
          outcome: {
            ...{ output: result, endpoint: 'worker', device: '', attempt: 1 },
            ...{ cache: 'off' as const, queueMs: 0, runMs: 5 },
          },
        },
});

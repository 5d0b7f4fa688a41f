import { Readable } from 'node:stream';
import { inspectorOf } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { goesOnFrom } from './goes-on.js';
import type { KeepMedia } from './result.js';
import type { McpCalls } from './servers-when-used.js';
import { toldApart } from './tool-names.js';

/**
 * Stage kinds for an agent's calls of MCP servers.
 * @param storeOfCall the store for the media of one call's result, which bounds them. Absent: media are left out
 */
export const mcpKinds = (
  servers: Omit<McpCalls, 'close'>,
  storeOfCall?: () => ArtifactStore,
): readonly (readonly [kind: string, run: WorkerKind])[] => [
  [
    'mcp-tools',
    async ({ model, with: { only, asks, prefix = '', reserved = [] }, tenant }, { signal, slot }) => {
      const names = only as readonly string[] | undefined;
      const asker = asks === undefined ? undefined : { tenant, slot };
      const listed = await servers.list(model, signal, names, asker);
      const naming = { prefix: String(prefix), reserved: reserved as readonly string[] };
      return { tools: toldApart(model, listed, naming) as unknown as Json };
    },
  ],
  [
    'mcp',
    async ({ model, with: { tool, asks, callMs, goesOn }, input, tenant }, context) => {
      const { signal, idempotencyKey, mayBegin, checkpoint, resumeFrom, ask, slot } = context;
      const keep = storeOfCall && keepingIn(storeOfCall(), tenant);
      const own = { signal, idempotencyKey, keep, mayBegin, checkpoint, resumeFrom };
      if (asks === undefined) return { result: await servers.call(model, String(tool), input, own) };
      const limit = typeof callMs === 'number' ? callMs : undefined;
      const asking = { tenant, slot, callMs: limit, ask, goesOn: goesOnFrom(goesOn) };
      const called = await servers.callAsking(model, String(tool), input, { ...own, asking });
      return called as unknown as JsonObject;
    },
  ],
];

const keepingIn =
  (store: ArtifactStore, tenant: string): KeepMedia =>
  async (kind, bytes) => {
    try {
      return await store.put(tenant, Readable.from([bytes]), inspectorOf(kind));
    } catch (error) {
      // A foreign server's mistake is a note in the text of its result.
      if (error instanceof MillraceError && error.code.startsWith('INVALID_')) return undefined;
      throw error;
    }
  };

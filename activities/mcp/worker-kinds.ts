import { Readable } from 'node:stream';
import { inspectorOf } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import type { KeepMedia } from './result.js';
import type { McpServers } from './servers.js';

/**
 * Stage kinds for an agent's calls of MCP servers.
 * @param storeOfCall the store for the media of one call's result, which bounds them. Absent: media are left out
 */
export const mcpKinds = (
  servers: McpServers,
  storeOfCall?: () => ArtifactStore,
): readonly (readonly [kind: string, run: WorkerKind])[] => [
  [
    'mcp-tools',
    async ({ model, with: { only } }, { signal }) => ({
      tools: (await servers.list(model, signal, only as readonly string[] | undefined)) as unknown as Json,
    }),
  ],
  [
    'mcp',
    async ({ model, with: { tool }, input, tenant }, { signal, idempotencyKey, mayBegin, checkpoint, resumeFrom }) => {
      const keep = storeOfCall && keepingIn(storeOfCall(), tenant);
      const own = { signal, idempotencyKey, keep, mayBegin, checkpoint, resumeFrom };
      return { result: await servers.call(model, String(tool), input, own) };
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

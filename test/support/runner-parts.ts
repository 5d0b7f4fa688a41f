import type { ExactCache, SemanticCache, VectorCache } from '../../activities/cache/index.js';
import type { StageRunnerParts } from '../../activities/stage/stage-runner.js';
import type { CodeArtifacts } from '../../pipelines/stages/kind.js';

const never = () => {
  throw new Error('not used here');
};

/** The parts of a stage runner that a test's stages do not use: no caches, artifacts, functions, or events. */
export const idleParts = (): Omit<StageRunnerParts, 'pools' | 'metrics' | 'logger'> => ({
  events: { attempt: () => undefined },
  cache: {} as SemanticCache,
  exact: {} as ExactCache,
  vectors: {} as VectorCache,
  hasArtifact: async () => true,
  indexVersion: async () => '',
  audioOf: () => ({ read: never, write: never }),
  bytesOf: () => never,
  artifactsOf: () => ({}) as CodeArtifacts,
  conform: async (_, input) => input,
  code: new Map(),
  workerKinds: new Map(),
});

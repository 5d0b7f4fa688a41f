/** What a tensor map of a stage kind may connect. */
export interface Roles {
  /** What inputs carry. */
  readonly from: readonly string[];
  /** What outputs are. */
  readonly to: readonly string[];
  /** Sets of outputs, any one of which makes the stage's output. */
  readonly needs: readonly (readonly string[])[];
}

/** Fields of every kind: the whole input, as JSON. */
const INPUT = 'input';
const OUTPUT = 'output';

/** By stage kind. `infer` stages name tensors themselves; its map says only how images become tensors. */
export const ROLES: Readonly<Record<string, Roles>> = {
  transcribe: {
    from: ['audio', 'length', 'language', 'prompt', INPUT],
    to: ['text', 'segments', OUTPUT],
    needs: [['text']],
  },
  embed: { from: ['text', 'image', 'audio', 'length', INPUT], to: ['embedding', OUTPUT], needs: [['embedding']] },
  classify: {
    from: ['text', 'textPair', 'image', 'audio', 'length', INPUT],
    to: ['scores', 'label', OUTPUT],
    needs: [['scores'], ['label']],
  },
  detect: {
    from: ['image', 'audio', 'length', 'imageSize', INPUT],
    to: ['boxes', 'scores', 'classes', 'texts', 'spans', 'masks', 'predictions', OUTPUT],
    needs: [['boxes'], ['spans'], ['texts'], ['predictions']],
  },
  synthesize: {
    from: ['text', 'voice', 'speed', 'instructions', INPUT],
    to: ['audio', 'sampleRate', OUTPUT],
    needs: [['audio']],
  },
  rerank: { from: ['query', 'passages', INPUT], to: ['scores', OUTPUT], needs: [['scores']] },
  chat: {
    from: ['prompt', 'maxTokens', 'temperature', 'topP', 'topK', 'seed', 'stop', 'stream', 'sampling', INPUT],
    to: ['text', OUTPUT],
    needs: [['text']],
  },
  infer: { from: ['image'], to: [], needs: [] },
};

export type { CacheRequest } from './cache-key.js';
export type { EmbedCaller, Embedder } from './embedder.js';
export { type CacheTimeouts, SemanticCache } from './semantic-cache.js';

export type { CacheRequest } from './cache-key.js';
export type { EmbedCaller, Embedder } from './embedder.js';
export { inspectText } from './inspect.js';
export { type Cached, type CacheTimeouts, SemanticCache } from './semantic-cache.js';

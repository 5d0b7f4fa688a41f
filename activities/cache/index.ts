export { Budget } from './budget.js';
export type { CacheRequest, ExactRequest } from './cache-key.js';
export { type EmbedCaller, type Embedder, embedderOf } from './embedder.js';
export { type Claim, type Entailment, entailmentOf } from './entailment.js';
export { ExactCache } from './exact-cache.js';
export { inspectText } from './inspect.js';
export { judgeOf } from './judge.js';
export { type Cached, type CacheTimeouts, SemanticCache } from './semantic-cache.js';
export { type Embedded, embeddedId, VectorCache, withVectorCache } from './vector-cache.js';

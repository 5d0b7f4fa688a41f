import type { JsonObject } from '../../pipelines/json.js';
import type { CachedBy, CacheOutcome } from '../../pipelines/run/index.js';
import type { Served } from './serve-stage.js';

/** Makes the stage's call, with another input if one is given. */
export type Serve = (instead?: JsonObject) => Promise<Served>;

export type CachedServed = Served & { readonly cache: CacheOutcome; readonly cachedBy?: CachedBy };

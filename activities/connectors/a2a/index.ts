import { z } from 'zod';
import type { Connector, PoolOptions } from '../connector.js';
import type { Transport } from '../exchange.js';
import { linked, namedOrigin } from '../transport.js';
import { A2aBackend } from './backend.js';

const origin = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:\/\//.test(text) && new URL(text).origin === text, {
    error: 'must be an origin: https://agents.example.org',
  });

const options = z.strictObject({
  /** Origins that the agent's card may name besides the endpoint's own: messages go there, with the key. */
  origins: z.array(origin).max(8).default([]),
});
export type A2aOptions = z.output<typeof options>;

/** Remote agents by A2A, versions 1.0 and 0.3. An endpoint is the base URL below which the agent's card is. */
export const a2aConnector = ({ transport }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'a2a',
  kinds: new Set(['a2a']),
  capabilities: new Set(['stream']),
  options: () => options as unknown as z.ZodType<PoolOptions>,
  takesKey: true,
  takesLink: true,
  connect(endpoint, key, given, link) {
    const { origins = [] } = (given ?? {}) as Partial<A2aOptions>;
    const named = namedOrigin(endpoint, link);
    const own = { key, origins: named === undefined ? origins : [named, ...origins] };
    return new A2aBackend(endpoint, own, linked(endpoint, link, transport));
  },
});

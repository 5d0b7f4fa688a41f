import type { Backend, Call, CallContext } from '../../../../activities/connectors/connector.js';
import { httpConnector } from '../../../../activities/connectors/http/index.js';
import { plainContext } from '../../../../activities/connectors/plain-context.js';
import { optionsOf } from '../../../../activities/connectors/pool-options.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { loopbackServer } from './loopback-server.js';

/** A call of a described API. */
interface Asked {
  readonly kind?: string;
  readonly input?: JsonObject;
  readonly with?: JsonObject;
  readonly key?: string;
  readonly context?: Partial<CallContext>;
}

export const json = { 'content-type': 'application/json' };
export const posts = (body: unknown) => ({ request: { path: '/x', json: body } });
export const artifact = { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: 'image/png', bytes: 3 };

/** The connector for APIs that a pool's options describe, at a server of the tests of a file. The presets' own tests are in servers/. */
export function describedHttp() {
  const server = loopbackServer();
  const http = httpConnector();
  const parsed = (kind: string, options: object) =>
    optionsOf(http, { kind, options: options as JsonObject }, 'options');
  const open = (kind: string, options: object, key?: string): Backend =>
    http.connect(server.url, key, parsed(kind, options));
  const call = (
    options: object,
    { kind = 'acme/any', input = {}, with: given = {}, key, context = {} }: Asked = {},
  ) => {
    const asked: Call = { kind, model: 'm/1', with: given, input };
    return open(kind, options, key).invoke(asked, {
      ...plainContext(AbortSignal.timeout(110_000)),
      bytes: async () => Uint8Array.from([1, 2, 3]),
      ...context,
    });
  };
  const last = () => server.received.at(-1);
  const sentJson = () => JSON.parse(last()?.body ?? 'null') as JsonObject;
  return { server, http, parsed, open, call, last, sentJson };
}

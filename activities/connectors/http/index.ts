import { isDefinedKind, STAGE_KINDS, type StageKindName } from '../../../pipelines/stages/index.js';
import type { Capability, Connector } from '../connector.js';
import type { Transport } from '../exchange.js';
import { linked, namedOrigin } from '../transport.js';
import type { Api } from './api.js';
import { HttpBackend } from './backend.js';
import { type CredentialKind, credentialOf, regionOf } from './credentials/credential.js';
import { joiningOf } from './joined.js';
import { httpOptions } from './options.js';
import { objectStore } from './s3/index.js';

export { type Api, optionsShape } from './api.js';
export { HttpBackend } from './backend.js';
export { type Condition, holds } from './condition.js';
export { credentialOf } from './credentials/credential.js';
export { answerScope, failureOf } from './faults.js';
export { describedBy } from './options.js';
export { PRESETS } from './presets/index.js';
export type { Scope } from './template.js';

/** Kinds that pools serve, except for agents, whose protocol is known. */
const KINDS = (Object.keys(STAGE_KINDS) as StageKindName[]).filter(
  (kind) => STAGE_KINDS[kind].servedBy === 'pool' && kind !== 'a2a',
);

const STREAMS: ReadonlySet<Capability> = new Set(['stream']);
const NONE: ReadonlySet<Capability> = new Set();

/**
 * APIs over HTTP. An endpoint is a base URL. A pool of the kind `http` serves stages that describe their requests
 * themselves; for other kinds the pool's options describe them, or name a preset of a serving system. Node's fetch fails
 * when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout is.
 */
export const httpConnector = ({ transport }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'http',
  kinds: new Set(KINDS),
  servesKind: isDefinedKind,
  capabilities: NONE,
  capabilitiesOf: (options) => ((options as unknown as Api | undefined)?.response.stream ? STREAMS : NONE),
  options: httpOptions,
  joins: (_, options) => joiningOf(options as unknown as Api | undefined),
  takesKey: true,
  takesLink: true,
  connect(endpoint, key, options, link) {
    const api = options as unknown as Api | undefined;
    const credential = credentialOf(key, api?.credential, api?.values);
    const send = linked(endpoint, link, transport, credential.through);
    const store = api?.objects && objectsOf(api, key, transport);
    return new HttpBackend(endpoint, credential, api, send, { store, named: namedOrigin(endpoint, link) });
  },
});

/** The objects of a description, by its key. They get neither headers nor certificates of the link, which is the endpoint’s alone. */
function objectsOf({ credential, values, objects }: Api, key: string | undefined, transport: Transport | undefined) {
  const region = regionOf(credential, values);
  const signed: CredentialKind = { sign: 'aws-v4', service: 's3', region };
  const { through } = credentialOf(key, signed, values);
  const send = linked(objects?.url ?? '', undefined, transport, through);
  return objectStore({ region, url: objects?.url }, send.fetch);
}

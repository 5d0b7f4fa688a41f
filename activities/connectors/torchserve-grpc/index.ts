import { invalidSetting } from '../../../pipelines/invalid-setting.js';
import type { Capability, Connector } from '../connector.js';
import { openChannel } from '../grpc/channel.js';
import { metadataOf } from '../grpc/link.js';
import { type Api, credentialOf, failureOf, HttpBackend } from '../http/index.js';
import { torchserve } from '../http/presets/torchserve.js';
import { torchServeOptions } from './options.js';
import { torchServeTransport } from './transport.js';

const STREAMS: ReadonlySet<Capability> = new Set(['stream']);
const NONE: ReadonlySet<Capability> = new Set();

/** Of requests as they are written for REST. No connection is made to it. */
const BASE = 'http://torchserve';

/**
 * TorchServe by gRPC: the requests, answers and errors of the preset `torchserve` of the connector `http`, over its gRPC
 * inference API. An endpoint is `host:port`, or `grpcs://host:port` for TLS; the key is the inference token.
 */
export const torchServeGrpcConnector = (): Connector => ({
  name: 'torchserve-grpc',
  kinds: new Set(Object.keys(torchserve.kinds)),
  capabilities: NONE,
  capabilitiesOf: (options) => ((options as unknown as Api | undefined)?.response.stream ? STREAMS : NONE),
  options: torchServeOptions,
  takesKey: true,
  takesLink: true,
  connect(endpoint, key, options, link = {}) {
    if (/^https?:/.test(endpoint)) {
      throw invalidSetting('url', `TorchServe’s gRPC is at host:port, by default 7070, not at ${endpoint}`, 'models');
    }
    const api = options as unknown as Api | undefined;
    const client = openChannel(endpoint, link);
    const send = torchServeTransport(client, {
      metadata: metadataOf(link),
      streams: api?.response.stream !== undefined,
      failure: (answer) => failureOf(api ?? { errors: [] }, answer),
    });
    const linked = { fetch: send, close: () => client.close() };
    return new HttpBackend(endpoint, credentialOf(key), api, linked, { base: BASE });
  },
});

import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { a2aConnector } from './a2a/index.js';
import type { Connector } from './connector.js';
import { httpConnector } from './http/index.js';
import { oipRestConnector } from './oip-rest/index.js';
import { openAiConnector } from './openai/index.js';
import { optionsOf } from './pool-options.js';
import type { Connectors, KeyOf, LinkOf, RegisteredConnector } from './registered.js';
import { torchServeGrpcConnector } from './torchserve-grpc/index.js';
import { tritonConnector } from './triton/index.js';

/** Millrace's own connectors. To add one, add a folder here and a name below. */
const OWN: readonly (() => Connector)[] = [
  tritonConnector,
  oipRestConnector,
  openAiConnector,
  httpConnector,
  torchServeGrpcConnector,
  a2aConnector,
];

/**
 * Every connector of a deployment by its name. Throws `INVALID_SETTING` if two have the same name.
 * @param outside connectors besides Millrace's own
 */
export function createConnectors({
  keyOf = () => undefined,
  linkOf = () => undefined,
  outside = [],
}: {
  readonly keyOf?: KeyOf;
  readonly linkOf?: LinkOf;
  readonly outside?: readonly Connector[];
} = {}): Connectors {
  const all = new Map<string, RegisteredConnector>();
  for (const connector of [...OWN.map((make) => make()), ...outside]) {
    if (all.has(connector.name)) throw invalidSetting('connectors', `two connectors are named "${connector.name}"`);
    all.set(connector.name, registered(connector, keyOf, linkOf));
  }
  return all;
}

/** A connector without keys gets none, whatever the deployment has for its endpoint. */
function registered(connector: Connector, keyOf: KeyOf, linkOf: LinkOf): RegisteredConnector {
  const { name, kinds, servesKind, capabilities, capabilitiesOf, joins, takesKey, takesLink, loadsModels, capacity } =
    connector;
  return {
    name,
    kinds,
    capabilities,
    ...(servesKind && { servesKind }),
    ...(capabilitiesOf && { capabilitiesOf: (pool) => capabilitiesOf(optionsOf(connector, pool, 'options')) }),
    ...(joins && { joins: (pool) => joins(pool.kind, optionsOf(connector, pool, 'options')) }),
    ...(takesKey && { takesKey }),
    ...(takesLink && { takesLink }),
    ...(loadsModels && { loadsModels }),
    ...(capacity && { capacity }),
    check: (pool, at) => void optionsOf(connector, pool, at),
    connect(endpoint, pool) {
      const key = takesKey ? keyOf(endpoint, pool?.apiKey) : undefined;
      const link = takesLink && pool ? linkOf(pool) : undefined;
      return connector.connect(endpoint, key, pool && optionsOf(connector, pool, 'options'), link);
    },
  };
}

export type * from './connector.js';
export type * from './registered.js';
export { shared } from './registered.js';

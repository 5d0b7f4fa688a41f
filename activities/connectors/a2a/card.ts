import { createHash } from 'node:crypto';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { shortened } from '../http-fault.js';
import { VERSIONS, type Version } from './wire.js';

/** A remote agent, as its card describes it. */
export interface RemoteAgent {
  /** Where messages go. */
  readonly url: string;
  readonly version: Version;
  readonly streams: boolean;
  /** Changes with the card. */
  readonly fingerprint: string;
}

interface Interface {
  readonly url: string;
  readonly version: string;
}

/**
 * Reads a card of either version. Throws `BACKEND_REJECTED` for an agent that does not speak JSON-RPC in a known version, and for one whose
 * messages would go to another origin: the key of the pool would go there too.
 */
export function agentIn(card: Json, origins: ReadonlySet<string>): RemoteAgent {
  if (!isJsonObject(card)) throw rejected('the card is no object');
  const offered = interfacesIn(card);
  const found = VERSIONS.flatMap((version) => {
    const at = offered.find((each) => each.version === version);
    return at ? [{ version, url: at.url }] : [];
  })[0];
  if (!found) {
    const versions = offered.map(({ version }) => version).join(', ') || 'none';
    throw rejected(`the card offers no JSONRPC interface of version ${VERSIONS.join(' or ')} (it offers: ${versions})`);
  }
  const { origin } = new URL(found.url);
  if (!origins.has(origin))
    throw rejected(`the card names the origin ${origin}; a pool allows others than its endpoint's in options.origins`);
  const { streaming } = isJsonObject(card.capabilities) ? card.capabilities : ({} as JsonObject);
  const fingerprint = createHash('sha256').update(JSON.stringify(card)).digest('hex').slice(0, 16);
  return { ...found, streams: streaming === true, fingerprint };
}

function interfacesIn(card: JsonObject): readonly Interface[] {
  const listed = Array.isArray(card.supportedInterfaces) ? card.supportedInterfaces : [];
  if (listed.length > 0)
    return listed.flatMap((each) =>
      isJsonObject(each) ? interfaceOf(each.protocolBinding, each.url, each.protocolVersion) : [],
    );
  // 0.3 has one address of its preferred transport, and further ones.
  const { protocolVersion, preferredTransport = 'JSONRPC', url, additionalInterfaces = [] } = card;
  const others = Array.isArray(additionalInterfaces) ? additionalInterfaces : [];
  return [
    ...interfaceOf(preferredTransport, url, protocolVersion),
    ...others.flatMap((each) => (isJsonObject(each) ? interfaceOf(each.transport, each.url, protocolVersion) : [])),
  ];
}

/** Without a version it is 0.3. */
function interfaceOf(binding: Json | undefined, url: Json | undefined, version: Json = '0.3'): readonly Interface[] {
  if (String(binding).toUpperCase() !== 'JSONRPC' || typeof url !== 'string' || !URL.canParse(url)) return [];
  return [{ url, version: String(version).split('.', 2).join('.') }];
}

/** It may quote the card. */
const rejected = (message: string): MillraceError => new MillraceError('BACKEND_REJECTED', shortened(message));

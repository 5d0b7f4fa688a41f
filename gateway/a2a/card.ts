import type { JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import { configurationUrlOf } from '../access/tokens/issuer.js';
import type { Agent } from './agents.js';
import { V0_3 } from './v0-3.js';
import { V1_0, WIRES } from './versions.js';

const ANY: Readonly<Record<MediaKind, string>> = {
  image: 'image/*',
  audio: 'audio/*',
  video: 'video/*',
  file: 'application/octet-stream',
};

const BINDING = 'JSONRPC';
const BEARER = { scheme: 'Bearer', description: 'A key of the gateway' };

export const pathOf = (pipeline: string): string => `/a2a/${pipeline}`;
export const cardPathOf = (pipeline: string): string => `${pathOf(pipeline)}/.well-known/agent-card.json`;

interface CardScope {
  /** Base URL of the gateway for the caller. */
  readonly base: string;
  /** Whether the caller has a key. */
  readonly withKeys: boolean;
  /** Whose tokens the gateway accepts. Absent: nobody's. */
  readonly issuer: string | undefined;
  /** Whether updates of its tasks can be sent to webhooks. */
  readonly pushes: boolean;
  /** The version that the caller names; empty if it names none. */
  readonly version: string;
}

/** The card of an agent, which has one skill. For callers that do not name 1.0 it has the fields of 0.3 too. */
export function cardOf({ pipeline, model, takes, gives }: Agent, scope: CardScope): JsonObject {
  const { base, pushes, version } = scope;
  const { name, plan } = pipeline;
  const description = pipeline.description || `Runs the pipeline ${name}`;
  const texts = model ? ['text/plain'] : [];
  const inputModes = [...texts, 'application/json', ...[...takes].map((kind) => ANY[kind])];
  const outputModes = [...texts, 'application/json', ...[...gives].map((kind) => ANY[kind])];
  const url = `${base}${pathOf(name)}`;
  const isNew = version === V1_0.version;
  const schemes = schemesOf(scope, isNew);
  const ways = Object.keys(schemes);
  return {
    name,
    description,
    version: plan.version,
    supportedInterfaces: WIRES.map((wire) => ({ url, protocolBinding: BINDING, protocolVersion: wire.version })),
    capabilities: { streaming: true, pushNotifications: pushes, extendedAgentCard: false },
    ...(ways.length > 0 && {
      securitySchemes: schemes,
      securityRequirements: ways.map((way) => ({ schemes: { [way]: { list: [] } } })),
    }),
    defaultInputModes: inputModes,
    defaultOutputModes: outputModes,
    skills: [{ id: name, name, description, tags: [name], inputModes, outputModes }],
    ...(!isNew && {
      protocolVersion: `${V0_3.version}.0`,
      url,
      preferredTransport: BINDING,
      supportsAuthenticatedExtendedCard: false,
      ...(ways.length > 0 && { security: ways.map((way) => ({ [way]: [] })) }),
    }),
  };
}

/** The ways in which callers authenticate, each of which suffices, by name. */
function schemesOf({ withKeys, issuer }: CardScope, isNew: boolean): JsonObject {
  const tokens = issuer !== undefined && {
    openIdConnectUrl: configurationUrlOf(issuer),
    description: 'A token of the identity provider',
  };
  return {
    ...(withKeys && { key: { httpAuthSecurityScheme: BEARER, ...(!isNew && { type: 'http', ...BEARER }) } }),
    ...(tokens && {
      token: { openIdConnectSecurityScheme: tokens, ...(!isNew && { type: 'openIdConnect', ...tokens }) },
    }),
  };
}

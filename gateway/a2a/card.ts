import type { JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { Agent } from './agents.js';
import { VERSION } from './protocol.js';

const ANY: Readonly<Record<MediaKind, string>> = {
  image: 'image/*',
  audio: 'audio/*',
  video: 'video/*',
  file: 'application/octet-stream',
};

export const pathOf = (pipeline: string): string => `/a2a/${pipeline}`;
export const cardPathOf = (pipeline: string): string => `${pathOf(pipeline)}/.well-known/agent-card.json`;

/**
 * The card of an agent, which has one skill.
 * @param base base URL of the gateway for the caller
 * @param withKeys whether the gateway asks its callers for keys
 */
export function cardOf(
  { pipeline, model, takes, gives }: Agent,
  { base, withKeys }: { readonly base: string; readonly withKeys: boolean },
): JsonObject {
  const { name, plan } = pipeline;
  const description = pipeline.description || `Runs the pipeline ${name}`;
  const texts = model ? ['text/plain'] : [];
  const inputModes = [...texts, 'application/json', ...[...takes].map((kind) => ANY[kind])];
  const outputModes = [...texts, 'application/json', ...[...gives].map((kind) => ANY[kind])];
  return {
    name,
    description,
    version: plan.version,
    supportedInterfaces: [{ url: `${base}${pathOf(name)}`, protocolBinding: 'JSONRPC', protocolVersion: VERSION }],
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    ...(withKeys && {
      securitySchemes: { key: { httpAuthSecurityScheme: { scheme: 'Bearer', description: 'A key of the gateway' } } },
      securityRequirements: [{ schemes: { key: { list: [] } } }],
    }),
    defaultInputModes: inputModes,
    defaultOutputModes: outputModes,
    skills: [{ id: name, name, description, tags: [name], inputModes, outputModes }],
  };
}

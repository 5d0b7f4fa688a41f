import type { Json } from './json.js';
import { ARTIFACT_URI } from './tenant.js';

/**
 * Media by reference: passed on edges and through Temporal's history instead of bytes. The address names the tenant, so
 * that other tenants cannot use it.
 */
export interface Artifact {
  /** `artifact://<tenant>/<sha256>` */
  readonly uri: string;
  /** Hex sha256 of the bytes: address and integrity check in one. */
  readonly sha256: string;
  /** IANA media type, e.g. `audio/wav`. */
  readonly mime: string;
  readonly bytes: number;
  /** Play time in milliseconds (audio). */
  readonly durationMs?: number;
  /** Samples per second and channel (audio). */
  readonly sampleRate?: number;
  /** Channel count (audio). */
  readonly channels?: number;
}

/** An artifact as a value of an input or output. */
export const artifactJson = (artifact: Artifact): Json => ({ ...artifact }) as unknown as Json;

export const artifactUri = (tenant: string, sha256: string): string => `artifact://${tenant}/${sha256}`;

export function parseArtifactUri(uri: string): { tenant: string; sha256: string } | undefined {
  const [, tenant, sha256] = ARTIFACT_URI.exec(uri) ?? [];
  return tenant !== undefined && sha256 !== undefined ? { tenant, sha256 } : undefined;
}

const MEMBERS: Readonly<Record<keyof Artifact, 'string' | 'number'>> = {
  uri: 'string',
  sha256: 'string',
  mime: 'string',
  bytes: 'number',
  durationMs: 'number',
  sampleRate: 'number',
  channels: 'number',
};

/** Whether a value is an artifact and nothing else: data of a caller may have the form of one and say more. */
export const isArtifactAlone = (value: unknown): value is Artifact =>
  isArtifact(value) &&
  Object.entries(value).every(
    ([name, each]) => Object.hasOwn(MEMBERS, name) && typeof each === MEMBERS[name as keyof Artifact],
  );

/** Whether a value has the form of an artifact; its address is not looked up. */
export function isArtifact(value: unknown): value is Artifact {
  if (typeof value !== 'object' || value === null) return false;
  const { uri, sha256, mime, bytes } = value as Partial<Artifact>;
  return (
    typeof uri === 'string' &&
    parseArtifactUri(uri)?.sha256 === sha256 &&
    typeof mime === 'string' &&
    typeof bytes === 'number'
  );
}

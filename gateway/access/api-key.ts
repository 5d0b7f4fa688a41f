import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isTenant } from '../../stores/artifacts/index.js';
import { rateFields } from '../../stores/rates/index.js';

/**
 * What a key may do: `run` starts and cancels, `read` looks at pipelines, runs and their media, `approve` decides what an
 * approval waits for, `metrics` reads `/metrics`. Apart, because an agent's own key must not approve what the agent asks.
 */
export const PERMISSIONS = ['run', 'read', 'approve', 'metrics'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Marks the text as a key of Millrace, for people and for scanners of leaked secrets. */
const PREFIX = 'millrace_';
/** 256 bits: nothing to guess. */
const SECRET_BYTES = 32;
/** Short enough to read out, and enough for a file that people keep. */
const ID_BYTES = 5;

const time = z.iso.datetime().describe('ISO 8601, UTC');

/** A key as it is kept: its hash, never itself. */
export const apiKeySchema = z.strictObject({
  /** Names the key in lists, logs and commands; no secret. */
  id: z.string().regex(/^[a-z0-9]{1,32}$/),
  /** Who or what has it, for people. */
  name: z.string().max(100),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  tenant: z.string().refine(isTenant, 'is no name of a tenant'),
  /**
   * Whose its conversations are: those of keys with the same owner are one's, so that a new key goes on where the old one
   * was. Absent: the key's own, by its id.
   */
  owner: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
    .optional(),
  /** Absent: all of them. */
  pipelines: z.array(z.string()).min(1).optional(),
  permissions: z.array(z.enum(PERMISSIONS)).min(1),
  createdAt: time,
  expiresAt: time.optional(),
  revokedAt: time.optional(),
  /** In place of the tenant's: the key then counts for itself. */
  limits: z
    .strictObject({
      /** Of requests. */
      rate: z.strictObject(rateFields).optional(),
      /** Most runs at once. */
      runs: z.int().min(1).optional(),
    })
    .optional(),
});

export type ApiKey = z.output<typeof apiKeySchema>;

/** Where keys are looked up. */
export interface KeyRing {
  /** The key that a secret stands for, unless it has expired or was revoked. */
  find(secret: string): ApiKey | undefined;
}

/** A new key: the secret is seen here and never again. */
export function issueKey(of: Omit<ApiKey, 'id' | 'sha256' | 'createdAt'>): { secret: string; key: ApiKey } {
  const secret = `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const id = randomBytes(ID_BYTES).toString('hex');
  return { secret, key: { id, sha256: hashOf(secret), createdAt: new Date().toISOString(), ...of } };
}

/**
 * Keys are found by the hash of what the caller sends, so how long a search takes says nothing about a key: nobody can aim
 * at a hash. One round of SHA-256 is right for 256 random bits; bcrypt and its kin slow down guesses at what people think
 * up, and here would only give an attacker a way to burn the gateway's processor.
 */
export function keyRing(keys: readonly ApiKey[], now: () => number = Date.now): KeyRing {
  const byHash = new Map(keys.map((key) => [key.sha256, key]));
  return {
    find(secret) {
      const key = byHash.get(hashOf(secret));
      return key !== undefined && isActive(key, now()) ? key : undefined;
    },
  };
}

export const isActive = ({ expiresAt, revokedAt }: Omit<ApiKey, 'sha256'>, now: number): boolean =>
  revokedAt === undefined && (expiresAt === undefined || now < Date.parse(expiresAt));

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

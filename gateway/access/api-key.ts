import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isTenant } from '../../stores/artifacts/index.js';
import { rateFields } from '../../stores/rates/index.js';
import { KEY_PREFIX, SECRET_BYTES } from './key-form.js';
import { PERMISSIONS } from './permissions.js';

/** Short enough to read aloud, long enough for a hand-edited file. */
const ID_BYTES = 5;

const time = z.iso.datetime().describe('ISO 8601, UTC');

/** A stored key: the hash of the secret, never the secret. */
export const apiKeySchema = z.strictObject({
  /** Identifies the key in lists, logs and commands; not secret. */
  id: z.string().regex(/^[a-z0-9]{1,32}$/),
  /** Holder of the key, for people. */
  name: z.string().max(100),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  tenant: z.string().refine(isTenant, 'is not a valid tenant name'),
  /**
   * Owner of its conversations. Keys with the same owner share conversations, so that a new key can replace an old one.
   * Absent: the key has an owner of its own, its id.
   */
  owner: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
    .optional(),
  /** Absent: all pipelines. */
  pipelines: z.array(z.string()).min(1).optional(),
  permissions: z.array(z.enum(PERMISSIONS)).min(1),
  createdAt: time,
  expiresAt: time.optional(),
  revokedAt: time.optional(),
  /** Limits in place of the tenant's; the key is then counted separately. */
  limits: z
    .strictObject({
      /** Rate of requests. */
      rate: z.strictObject(rateFields).optional(),
      /** Most concurrent runs. */
      runs: z.int().min(1).optional(),
    })
    .optional(),
});

export type ApiKey = z.output<typeof apiKeySchema>;

/** Looks up keys. */
export interface KeyRing {
  /** The key of a secret; undefined if it is unknown, expired or revoked. */
  find(secret: string): ApiKey | undefined;
}

/** Creates a key. Only the return value has the secret. */
export function issueKey(of: Omit<ApiKey, 'id' | 'sha256' | 'createdAt'>): { secret: string; key: ApiKey } {
  const secret = `${KEY_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const id = randomBytes(ID_BYTES).toString('hex');
  return { secret, key: { id, sha256: hashOf(secret), createdAt: new Date().toISOString(), ...of } };
}

/**
 * Keys are looked up by the SHA-256 of the secret, so the duration of a lookup reveals nothing useful. One round of
 * SHA-256 suffices for 256 random bits; bcrypt and the like protect guessable passwords, and here would only let an
 * attacker load the CPU.
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

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface Sealed {
  /** 256 random bits in base64, with which nothing else is encrypted. */
  readonly key: string;
  /** Nonce, ciphertext and tag, in this order. */
  readonly parts: readonly Uint8Array[];
}

/**
 * Encrypts a text with AES-256-GCM (NIST SP 800-38D) under a new key.
 * @param name what it is called: it is opened under no other name
 */
export function sealed(text: string, name: string): Sealed {
  const key = randomBytes(KEY_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(Buffer.from(name));
  const body = cipher.update(text, 'utf8');
  // GCM keeps no bytes back: this only makes the tag.
  cipher.final();
  return { key: key.toString('base64'), parts: [nonce, body, cipher.getAuthTag()] };
}

/** The text; undefined for bytes that were not sealed with this key under this name, or have been changed since. */
export function opened(bytes: Uint8Array, key: string, name: string): string | undefined {
  const end = bytes.length - TAG_BYTES;
  if (end < NONCE_BYTES) return undefined;
  try {
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const cipher = createDecipheriv(ALGORITHM, Buffer.from(key, 'base64'), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(name));
    cipher.setAuthTag(bytes.subarray(end));
    const body = cipher.update(bytes.subarray(NONCE_BYTES, end));
    // Checks the tag: nothing of the body is used before.
    cipher.final();
    return body.toString('utf8');
  } catch {
    return undefined;
  }
}

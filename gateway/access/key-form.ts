/** Identifies a Millrace key to people and to secret scanners. */
export const KEY_PREFIX = 'millrace_';

/** 256 bits: cannot be guessed. */
export const SECRET_BYTES = 32;

/** The prefix and its bytes in base64url. */
const WHOLE = /^millrace_[\w-]{43}$/;

/** Whether a secret has the form of a key, valid or not. */
export const isKey = (secret: string): boolean => secret.startsWith(KEY_PREFIX);

/** The same, for a text that may also be a name such as `millrace_keys.json`: a key is as long as issued keys are. */
export const isWholeKey = (text: string): boolean => WHOLE.test(text.trim());

import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/** How what is sealed begins: content that another server has encrypted does not. */
const PREFIX = 'mr1.';
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Most reasoning that is sealed, in UTF-16 units: its end, as a run keeps it. A stream may have more. */
const MOST_REASONING = 65_536;
/** Longest content that is opened, in characters: such reasoning has at most three bytes for each unit, and four characters for three bytes. */
export const LONGEST_SEALED = 400_000;

/** Seals a model's reasoning for one tenant, and opens it again. */
export interface ReasoningSeal {
  seal(text: string): string;
  /** Undefined for what was not sealed here for this tenant. */
  open(sealed: string): string | undefined;
}

/**
 * `encrypted_content` of reasoning items: AES-256-GCM (NIST SP 800-38D) under a key of the tenant, which is derived from a secret of the gateways. Clients hold it
 * and send it back; they cannot read, change or make it, nor use it as another tenant.
 */
export class ReasoningSeals {
  readonly #secret: () => Promise<Buffer>;

  /** @param secret the same at every gateway. Absent: one of this process, so what it seals ends with it */
  constructor(secret?: () => Promise<Buffer>) {
    const own = randomBytes(32);
    this.#secret = secret ?? (async () => own);
  }

  async of(tenant: string): Promise<ReasoningSeal> {
    const secret = await this.#secret();
    const key = derived(secret, `reasoning\n${tenant}`);
    const naming = derived(secret, `reasoning-nonce\n${tenant}`);
    return {
      seal(whole) {
        const text = whole.slice(-MOST_REASONING);
        // Made from the text: the events of a response are the same whenever they are read, and no nonce is used for two texts.
        const nonce = createHmac('sha256', naming).update(text).digest().subarray(0, NONCE_BYTES);
        const cipher = createCipheriv(ALGORITHM, key, nonce);
        const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
        return `${PREFIX}${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`;
      },
      open(sealed) {
        const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64url');
        if (!isSealed(sealed) || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
        const cipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
        cipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        try {
          const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
          return Buffer.concat([cipher.update(body), cipher.final()]).toString('utf8');
        } catch {
          return undefined;
        }
      },
    };
  }
}

/** Whether content claims to be sealed here. */
export const isSealed = (content: string): boolean => content.startsWith(PREFIX);

const derived = (secret: Buffer, use: string): Buffer => createHmac('sha256', secret).update(use).digest();

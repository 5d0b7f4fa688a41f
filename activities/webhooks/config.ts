import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isTenant } from '../artifacts/index.js';
import type { Logger } from '../logger.js';
import { secretFault } from './signature.js';
import { targetFault } from './target-url.js';

/** The setting whose file this is. */
const SETTING = 'MILLRACE_WEBHOOKS';
/** Every secret signs each attempt: two are a rotation. */
const MOST_SECRETS = 4;
/** Each is told of every run: a run's delivery holds its attempts at all of them. */
const MOST_ENDPOINTS = 16;
/** How long a look at the file's time holds, in milliseconds. */
const LOOK_MS = 1_000;

export interface TenantWebhooks {
  /** Sign what is sent to URLs that requests name, and to endpoints without secrets of their own. */
  readonly secrets?: readonly string[] | undefined;
  /** By name; each is told of every run of its pipelines. */
  readonly endpoints?: Readonly<Record<string, Endpoint>> | undefined;
}

export interface Endpoint {
  readonly url: string;
  readonly secrets?: readonly string[] | undefined;
  /** Absent: all. */
  readonly pipelines?: readonly string[] | undefined;
}

type Tenants = Readonly<Record<string, TenantWebhooks>>;

/** Messages never repeat a secret. */
const secrets = z
  .array(
    z.string('must be a text').superRefine((text, { addIssue }) => {
      const fault = secretFault(text);
      if (fault !== undefined) addIssue(fault);
    }),
  )
  .min(1)
  .max(MOST_SECRETS);

const schemaOf = (allowPrivate: boolean) =>
  z.record(
    z.string().refine(isTenant, 'is not a tenant name'),
    z
      .strictObject({
        secrets: secrets.optional(),
        endpoints: z
          .record(
            z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'is not a name such as "billing"'),
            z.strictObject({
              url: z.string().superRefine((text, { addIssue }) => {
                const fault = targetFault(text, allowPrivate);
                if (fault !== undefined) addIssue(fault);
              }),
              secrets: secrets.optional(),
              pipelines: z.array(z.string()).min(1).optional(),
            }),
          )
          .refine((all) => Object.keys(all).length <= MOST_ENDPOINTS, `has more than ${MOST_ENDPOINTS} endpoints`)
          .optional(),
      })
      .superRefine(({ secrets: own, endpoints = {} }, { addIssue }) => {
        const [bare] = Object.entries(endpoints).find(([, endpoint]) => !endpoint.secrets && !own) ?? [];
        if (bare !== undefined) addIssue(`has no secrets, and its endpoint "${bare}" has none of its own`);
      }),
  );

/** Throws `INVALID_SETTING` naming the place. */
export function parseWebhooks(text: string, allowPrivate: boolean): Tenants {
  const parsed = schemaOf(allowPrivate).safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`);
  throw invalid(faults.join('; '));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which has secrets.
    throw invalid('is not valid JSON');
  }
}

const invalid = (message: string): MillraceError =>
  new MillraceError('INVALID_SETTING', `${SETTING}: ${message}`, { fields: [{ field: SETTING, message }] });

/** The file of a tenant's webhook endpoints and secrets, read again when it has changed, so that a rotation needs no restart. */
export class WebhookConfig {
  readonly allowPrivate: boolean;
  readonly #file: string | undefined;
  readonly #logger: Logger;
  #tenants: Tenants = {};
  #changed: number | undefined;
  #looked = 0;

  private constructor(file: string | undefined, allowPrivate: boolean, logger: Logger) {
    this.#file = file;
    this.allowPrivate = allowPrivate;
    this.#logger = logger;
  }

  /** Throws `INVALID_SETTING` for a file that cannot be read or has mistakes. */
  static async open(
    file: string | undefined,
    { allowPrivate, logger }: { readonly allowPrivate: boolean; readonly logger: Logger },
  ): Promise<WebhookConfig> {
    const config = new WebhookConfig(file, allowPrivate, logger);
    await config.#read();
    return config;
  }

  /** What is configured for a tenant now. A file that has become unreadable leaves what was there, and says so in the log. */
  async of(tenant: string): Promise<TenantWebhooks> {
    if (Date.now() - this.#looked >= LOOK_MS) {
      await this.#read().catch((error: unknown) =>
        this.#logger.error({ code: 'INVALID_SETTING' }, `webhooks stay as they were: ${messageOf(error)}`),
      );
    }
    return Object.hasOwn(this.#tenants, tenant) ? (this.#tenants[tenant] ?? {}) : {};
  }

  async #read(): Promise<void> {
    if (this.#file === undefined) return;
    this.#looked = Date.now();
    let text: string;
    try {
      const { mtimeMs } = await stat(this.#file);
      if (mtimeMs === this.#changed) return;
      text = await readFile(this.#file, 'utf8');
      this.#changed = mtimeMs;
    } catch (error) {
      throw invalid(`cannot read ${this.#file}: ${messageOf(error)}`);
    }
    this.#tenants = parseWebhooks(text, this.allowPrivate);
  }
}
